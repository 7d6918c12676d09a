"""A run: its settings, the names in its folder, its position, and the lock of its trainer."""

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from cyclegan.atomic import UNFINISHED, lock, remove_unfinished
from cyclegan.errors import UsageError, UserError
from cyclegan.kinds import STRICT

FolderDirection = Literal["AtoB", "BtoA"]


@dataclass(frozen=True, config=STRICT)
class RunSettings:
    """Settings of the run itself: its name and folder, direction, seed and device."""

    name: str = "cyclegan"
    """name of the run, and of its folder in checkpoints_dir"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    direction: FolderDirection = "AtoB"
    """AtoB, or BtoA to swap the folders"""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """random seed; the same seed gives the same run"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    stop_exit_code: Annotated[int, Field(ge=0, le=255)] = 143
    """exit code of training stopped by SIGTERM, once everything is saved"""

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.checkpoints_dir / self.name

    def check(self) -> None:
        """Raise UsageError if the name can't be that of a folder."""
        check_name(self.name)


def check_name(name: str) -> None:
    """Raise UsageError if a run's name can't be that of a folder."""
    if name.startswith("hf:"):
        raise UsageError(
            f"--name {name}: a model on the hub, but this command needs a local run; convert, "
            "serve, export and evaluate take models on the hub"
        )
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
        raise UsageError(
            f"--name {name!r}: must be a plain name without a path; --checkpoints_dir sets where "
            "runs are kept"
        )


@dataclasses.dataclass(frozen=True)
class Position:
    """A position in training, between two steps."""

    epoch: int = 1
    """the epoch in progress, counted from 1"""
    images_in_epoch: int = 0
    """images of each domain that this epoch has seen"""
    images: int = 0
    """images of each domain that the run has seen"""

    def __str__(self) -> str:
        return f"epoch {self.epoch}, {self.images:,} images"

    def after(self, batch: int) -> "Position":
        """Return the position after a batch of `batch` images."""
        return dataclasses.replace(
            self, images_in_epoch=self.images_in_epoch + batch, images=self.images + batch
        )

    def next_epoch(self) -> "Position":
        """Return the position at the start of the next epoch."""
        return dataclasses.replace(self, epoch=self.epoch + 1, images_in_epoch=0)

    def passed(self, earlier: "Position", every: int) -> bool:
        """Return whether a multiple of `every` images was reached after `earlier`, up to here.

        Counted this way, nothing is skipped if the batch size doesn't divide the frequency. `every`
        0 means never.
        """
        return every > 0 and self.images // every > earlier.images // every


#: Checkpoints that are called otherwise than by an epoch's number.
LATEST, PREVIOUS, BEST = "latest", "previous", "best"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The folder of one run, and the only owner of the names in it."""

    path: Path

    @property
    def lock(self) -> Path:
        """Lock file, held by the process that trains the run."""
        return self.path / ".lock"

    @property
    def settings(self) -> Path:
        """File of the resolved settings."""
        return self.path / "settings.toml"

    @property
    def run_info(self) -> Path:
        """File that tells how far the run goes, and how far it is saved."""
        return self.path / "journey.json"

    @property
    def restarted(self) -> Path:
        """File that tells where torchrun has started the run again."""
        return self.path / ".restarted"

    @property
    def losses(self) -> Path:
        """Log of all values, a line for each record."""
        return self.path / "losses.jsonl"

    @property
    def table(self) -> Path:
        """Log of all values, for spreadsheets."""
        return self.path / "losses.csv"

    @property
    def report(self) -> Path:
        """HTML report that needs no server."""
        return self.path / "report.html"

    @property
    def evaluations(self) -> Path:
        """Results of `cyclegan evaluate`."""
        return self.path / "evaluation.json"

    @property
    def card(self) -> Path:
        """Model card of `cyclegan card`."""
        return self.path / "card.md"

    @property
    def pictures(self) -> Path:
        """Folder of pictures, with a folder for each kind of grid."""
        return self.path / "pictures"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def wandb(self) -> Path:
        """Folder of Weights & Biases."""
        return self.path / "wandb"

    @property
    def wandb_id(self) -> Path:
        """File with the id of the run at Weights & Biases."""
        return self.path / "wandb_id.txt"

    @property
    def latest(self) -> Path:
        """Checkpoint that training goes on from."""
        return self.checkpoint(LATEST)

    def checkpoint(self, epoch: str) -> Path:
        """Return the checkpoint file of `epoch`: 'latest', 'previous', 'best' or a number."""
        return self.path / (f"{epoch}.pt" if epoch in _NAMED else f"epoch_{epoch}.pt")

    def saved(self) -> list[str]:
        """Return the names of the saved checkpoints, as `checkpoint` takes them."""
        named = [name for name in _NAMED if self.checkpoint(name).is_file()]
        return named + [str(number) for number in self.saved_epochs()]

    def saved_epochs(self) -> list[int]:
        """Return the numbers of the epochs that have a checkpoint of their own, in order."""
        files = (path.name for path in self.path.glob("epoch_*.pt") if path.is_file())
        names = (re.fullmatch(r"epoch_(0|[1-9]\d*)\.pt", name, re.ASCII) for name in files)
        return sorted(int(name[1]) for name in names if name)

    def newest(self) -> str:
        """Return the name of the newest checkpoint: 'latest', or 'previous' if that is lost."""
        return PREVIOUS if self.saved()[:1] == [PREVIOUS] else LATEST

    def check(self) -> None:
        """Raise UserError, naming the runs beside it, if the folder does not exist."""
        if not self.path.is_dir():
            others = sorted(self.path.parent.glob("*/"))
            runs = [path.name for path in others if RunFolder(path).run_info.exists()]
            there = f"; there are {', '.join(runs)}" if runs else ""
            raise UserError(f"{self.path}: no such run{there}")

    def is_run(self) -> bool:
        """Return whether a run is, or was, trained here."""
        return any(mark.exists() for mark in (self.run_info, self.settings, self.latest))

    def is_fresh(self) -> bool:
        """Return whether a new run may begin here; what ended before its first save is replaced."""
        beginnings = {
            *(
                self.lock,
                self.restarted,
                self.settings,
                self.run_info,
                self.losses,
                self.table,
                self.report,
            ),
            *(self.pictures, self.tensorboard, self.wandb, self.wandb_id),
        }
        there = self.path.iterdir() if self.path.exists() else ()
        return all(path in beginnings or path.match(f".*{UNFINISHED}") for path in there)

    def taken(self) -> UserError:
        """Return the error of who wants to begin a new run where one is."""
        return UserError(
            f"{self.path}: already exists; --continue_train resumes it, another --name starts a "
            "new run"
        )

    def remove_unfinished(self) -> None:
        """Remove what a killed training was writing; only the process that trains may call this."""
        for folder in (self.path, *self.pictures.glob("*/")):
            remove_unfinished(folder)


_NAMED = (LATEST, PREVIOUS, BEST)


# Seconds in which whoever asks whether a run is trained has let go of it again.
_PATIENCE = 0.5


@contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold the lock of the run in `folder`. Raises UserError if another process trains it.

    The system releases the lock when the process ends, however it ends; data loader workers that
    outlive a killed trainer do not hold it.
    """
    import filelock

    held = filelock.FileLock(RunFolder(folder).lock, timeout=_PATIENCE)
    try:
        held.acquire()
    except filelock.Timeout:
        raise UserError(
            f"{folder}: another process is training this run: wait until it has finished"
        ) from None
    try:
        yield
    finally:
        held.release()


def is_trained(folder: Path) -> bool:
    """Return whether a process trains the run in `folder`, as far as this system can tell."""
    try:
        with RunFolder(folder).lock.open("rb") as file:
            return not lock(file, shared=True)
    except OSError:  # never trained, or no locks there
        return False
