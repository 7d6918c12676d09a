"""Where a run goes on when its latest checkpoint is damaged or missing."""

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclegan import checkpoint
from cyclegan.atomic import atomic_write
from cyclegan.checkpoint import Checkpoint, DamagedError
from cyclegan.errors import UserError
from cyclegan.loggers.jsonl import read_records
from cyclegan.run_folder import LATEST, RunFolder
from cyclegan.training.lock import only_trainer

log = logging.getLogger(__name__)

#: Behind the name of a damaged checkpoint that another one has taken the place of.
DAMAGED = ".damaged"


@dataclass(frozen=True)
class Sound:
    """The newest checkpoint of a run that is as it was saved."""

    path: Path
    checkpoint: Checkpoint
    reason: str = ""
    """why it is not the latest; empty where it is"""
    lost: int = 0
    """images of training that came after it, as far as is known"""

    def __str__(self) -> str:
        lost = f"{self.lost:,} images of training are lost" if self.lost else "nothing is lost"
        return f"{self.reason}; going on from {self.path.name} ({self.checkpoint.position}): {lost}"


def recover(run: Path) -> Checkpoint:
    """The latest checkpoint of `run`; the newest sound one takes its place where it is not sound.

    Says which that is, and what is lost. Raises UserError where none is sound.
    """
    found = newest_sound(run)
    if found.reason:
        with only_trainer(run):
            found = newest_sound(run)  # once more: from here on no other process writes one
            if found.reason:
                _restore(found)
                log.warning("%s", found)
    return found.checkpoint


def newest_sound(run: Path) -> Sound:
    """The latest checkpoint of `run`; the newest other one where that is damaged or missing.

    Raises UserError where none is sound.
    """
    latest = RunFolder(run).latest
    reason = f"{latest}: missing"
    if latest.is_file() or not RunFolder(run).saved():
        try:
            return Sound(latest, _trainable(checkpoint.path_of(run, "latest")))
        except DamagedError as error:
            reason = str(error)
    for path in _newest_first(run):
        with contextlib.suppress(DamagedError):
            sound = _trainable(path)
            lost = max(_reached(run) - sound.position.images, 0)
            return Sound(path, sound, reason, lost)
    raise UserError(
        f"{reason}, and {run} holds no other checkpoint that is sound: start a new run with "
        "another --name"
    )


def _trainable(path: Path) -> Checkpoint:
    """Load what a run can go on from. Raises DamagedError where it is not whole."""
    saved = checkpoint.load(path)
    missing = [name for name in ("optimizers", "pools", "random") if name not in saved.state]
    if missing:
        raise DamagedError(f"{path}: no whole checkpoint (no {', '.join(missing)})")
    return saved


def _restore(sound: Sound) -> None:
    """Make it the latest checkpoint; the damaged one stays beside it under another name."""
    latest = RunFolder(sound.path.parent).latest
    with atomic_write(latest) as unfinished:
        unfinished.unlink()
        try:
            unfinished.hardlink_to(sound.path)
        except OSError:  # a file system without links
            shutil.copyfile(sound.path, unfinished)
        if latest.exists():
            latest.replace(latest.with_name(latest.name + DAMAGED))


def _newest_first(run: Path) -> list[Path]:
    """All checkpoints but the latest that say how far they are; the order of names among equals."""
    folder = RunFolder(run)
    paths = [folder.checkpoint(name) for name in folder.saved() if name != LATEST]
    images = {path: reached for path in paths for reached in _images(path)}
    return sorted(images, key=lambda path: -images[path])


def _reached(run: Path) -> int:
    """Images that the run had seen, by its damaged checkpoint and by its log."""
    logged = (record.position.images for record in read_records(RunFolder(run).losses))
    return max((*_images(RunFolder(run).latest), *logged), default=0)


def _images(path: Path) -> Iterator[int]:
    """Images that a checkpoint had seen, if that much of it is sound."""
    with contextlib.suppress(UserError):
        yield checkpoint.load(path, mapped=True).position.images
