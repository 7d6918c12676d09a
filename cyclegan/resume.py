"""Starting points of a run: its newest sound checkpoint, or the weights of another file."""

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan import checkpoint, classic, hub
from cyclegan.atomic import atomic_write
from cyclegan.checkpoint import Checkpoint, DamagedError
from cyclegan.classic import NETWORKS
from cyclegan.device import ran_out_of_memory
from cyclegan.distributed import Group
from cyclegan.errors import UsageError, UserError, in_one_line
from cyclegan.loggers.jsonl import read_records
from cyclegan.run import LATEST, RunFolder, only_trainer
from cyclegan.runtimes.safetensors import read_tensors
from cyclegan.settings import Settings
from cyclegan.training.loop import DivergedError
from cyclegan.training.state import TrainingState
from cyclegan.training.step import Phase, Recipe

log = logging.getLogger(__name__)

#: Behind the name of a damaged checkpoint that another one has taken the place of.
DAMAGED = ".damaged"


@dataclass(frozen=True)
class Sound:
    """The newest sound checkpoint of a run, and what is lost by going on from it."""

    path: Path
    checkpoint: Checkpoint
    reason: str = ""
    """why it is not the latest; empty where it is"""
    lost: int = 0
    """images trained since, as far as known"""

    def __str__(self) -> str:
        lost = f"{self.lost:,} images of training are lost" if self.lost else "nothing is lost"
        return f"{self.reason}; resuming from {self.path.name} ({self.checkpoint.position}): {lost}"


def recover(run: Path) -> Checkpoint:
    """Return the latest checkpoint of `run`; if it is not sound, the newest sound one replaces it.

    Logs which checkpoint that is, and what is lost. Raises UserError if none is sound.
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
    """Return the latest checkpoint of `run`; the newest other one if it is damaged or missing.

    Raises UserError if none is sound.
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
        f"{reason}, and {run} holds no other valid checkpoint: start a new run with another --name"
    )


def _trainable(path: Path) -> Checkpoint:
    """Load a checkpoint to resume training from. Raises DamagedError if it is not whole."""
    saved = checkpoint.load(path)
    missing = [name for name in ("optimizers", "pools", "random") if name not in saved.state]
    if missing:
        raise DamagedError(f"{path}: incomplete checkpoint (no {', '.join(missing)})")
    return saved


def _restore(sound: Sound) -> None:
    """Make `sound` the latest checkpoint; the damaged one stays beside it under another name."""
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
    """Return all readable checkpoints but the latest, newest first; ties in the order of names."""
    folder = RunFolder(run)
    paths = [folder.checkpoint(name) for name in folder.saved() if name != LATEST]
    images = {path: reached for path in paths for reached in _images(path)}
    return sorted(images, key=lambda path: -images[path])


def _reached(run: Path) -> int:
    """Return how many images the run had seen, by its damaged checkpoint and by its log."""
    logged = (record.position.images for record in read_records(RunFolder(run).losses))
    return max((*_images(RunFolder(run).latest), *logged), default=0)


def _images(path: Path) -> Iterator[int]:
    """Yield how many images a checkpoint had seen, if that much of it is sound."""
    with contextlib.suppress(UserError):
        yield checkpoint.load(path, mapped=True).position.images


@contextmanager
def owned(folder: RunFolder, group: Group, check: Callable[[], None] | None) -> Iterator[None]:
    """Hold a run while entered, in the leading process of a group.

    `check` is called once no other process can train it. Raises UserError.
    """
    if not group.leads:
        yield
        return
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder.path}: can't be written ({error.strerror})") from None
    with only_trainer(folder.path):
        if check is not None:
            check()
        folder.remove_unfinished()
        yield


def check_unmoved(folder: RunFolder, resume: Checkpoint | None) -> None:
    """Raise UserError if another process began the run, or took it further than `resume` is.

    Asked once a process owns the run, as what it was built from was read before.
    """
    if resume is None:
        if not folder.is_fresh():
            raise folder.taken()
    elif any(images > resume.position.images for images in _images(folder.latest)):
        raise UserError(
            f"{folder.path}: another process has trained this run in the meantime: run the same "
            "command again to resume from there"
        )


def check_size(settings: Settings, resume: Checkpoint) -> None:
    """Raise UserError if the networks of `settings` take more memory than the saved weights.

    A file may claim any networks; its weights are no larger than the file.
    """
    with torch.device("meta"):
        built = settings.recipe.networks_of(settings.networks)
    needed = sum(weights.nbytes for network in built for weights in network.parameters())
    held = sum(
        weights.nbytes
        for network in resume.state["networks"].values()
        for weights in network.values()
    )
    if needed > held:
        raise UserError(
            f"{RunFolder(settings.run.folder).latest}: holds {held} bytes of weights, fewer than "
            f"its settings need ({needed}): start a new run with another --name"
        )


def take_up(state: TrainingState, resume: Checkpoint, device: torch.device, path: Path) -> None:
    """Load the training state of a checkpoint. Raises UserError if it is another run's."""
    try:
        state.load_state_dict(resume.state, device)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        if ran_out_of_memory(error):
            raise
        named = isinstance(error, KeyError)
        reason = f"it holds no {error.args[0]}" if named else f"{error}".strip().splitlines()[-1]
        raise UserError(
            f"{path}: doesn't match these settings ({in_one_line(reason)}): start a new run with "
            "another --name"
        ) from error


def rolled_back(settings: Settings, error: DivergedError, group: Group) -> Checkpoint:
    """Return the checkpoint to go back to. Raises UserError where there is none."""
    sound: Checkpoint | None = group.from_lead(lambda: error.sound)
    most = settings.training.max_rollbacks
    if settings.training.on_divergence == "stop" or sound is None:
        raise error
    if sound.rollbacks >= most:
        raise UserError(f"{error} (--max_rollbacks {most} are used up)")
    if group.leads:
        lowered = settings.training.rollback_lr ** (sound.rollbacks + 1)
        what = str(error).partition(";")[0]
        log.warning("%s: rolled back to %s, learning rate times %g", what, sound.position, lowered)
    return replace(sound, rollbacks=sound.rollbacks + 1)


@dataclass(frozen=True)
class Initial:
    """The initial weights of one network, and the file they are from."""

    weights: Mapping[str, Tensor]
    path: Path

    def __post_init__(self) -> None:
        """Raise UserError if a weight is NaN or infinite."""
        broken = [key for key, tensor in self.weights.items() if not tensor.isfinite().all()]
        if broken:
            raise UserError(f"{self.path}: NaN or infinite ({broken[0]}): give other weights")


def initial_weights(source: Path, *, trust_code: bool) -> dict[str, Initial]:
    """Load the networks that `source` holds, by our names.

    `source` is a run's folder, a folder of the classic scripts' files, a checkpoint, a file of
    other scripts with one network or several, or the address of a model on the hub. Programs are
    opened only with `trust_code`. Raises UserError.
    """
    if hub.is_model(source):
        return {
            name: Initial(read_tensors(path, trust_code=trust_code), path)
            for name, path in _of_model(source)
        }
    if source.is_dir() and not RunFolder(source).saved():
        return {
            name: Initial(classic.clean(read_tensors(path, trust_code=trust_code), path), path)
            for name, path in classic.find_files(source).items()
        }
    path = source
    if source.is_dir():
        path = checkpoint.path_of(source, RunFolder(source).newest())
    content = read_tensors(path, trust_code=trust_code)
    if checkpoint.is_checkpoint(content):
        found = checkpoint.from_plain(content, path).state["networks"]
    else:
        found = _named(content, path)
    return {name: Initial(weights, path) for name, weights in found.items()}


def _of_model(source: Path) -> Iterator[tuple[str, Path]]:
    """Yield the generators of a model on the hub: the trained direction's, and the other if any."""
    yield NETWORKS["G_A"], hub.weights_of(source, None)
    with contextlib.suppress(UsageError):
        yield NETWORKS["G_B"], hub.weights_of(source, None, back=True)


def _named(content: Any, path: Path) -> dict[str, Mapping[str, Tensor]]:
    """Return the networks of a file of other scripts by our names; the file may name a single one.

    A generator without a name is that of the trained direction: published weights are a single
    generator, latest_net_G.pth.
    """
    found = classic.every(content, path)
    named: dict[str, Mapping[str, Tensor]] = {}
    for name, weights in found.items():
        alone = len(found) == 1 and classic.is_generator(weights)
        ours = classic.known(name) or classic.known(path.stem)
        ours = ours or (NETWORKS["G_A"] if alone else None)
        if ours is None or ours in named:
            raise UserError(
                f"{path}: holds {', '.join(n or 'a network' for n in found)}, and it is not clear "
                f"which of {', '.join(NETWORKS.values())} that is: call the file "
                "latest_net_G_A.pth, or the networks netG_A, netG_B, netD_A and netD_B"
            )
        named[ours] = weights
    return named


def take_in(recipe: Recipe, given: Mapping[str, Initial]) -> None:
    """Load the given weights, and warn which networks start fresh. Raises UserError on a misfit."""
    networks = recipe.state.networks
    taken = [name for name in networks if name in given]
    source = next(iter(given.values())).path
    if not taken:
        raise UserError(
            f"{source}: holds {', '.join(given)}, and this run trains {', '.join(networks)}"
        )
    for name in taken:
        classic.load_into(networks[name], given[name].weights, given[name].path)
    recipe.state.averages.restart(networks)
    fresh = [name for name in networks if name not in given]
    if fresh:
        log.warning(
            "%s: holds %s; %s start from scratch%s",
            source,
            ", ".join(taken),
            ", ".join(fresh),
            _learning_alone(recipe.phases),
        )


def _learning_alone(phases: Sequence[Phase]) -> str:
    """Return which phases learn before the others do, and for how many steps, in words."""
    warmup = max(phase.begins for phase in phases)
    first = " and ".join(phase.name for phase in phases if not phase.begins)
    return f", and only the {first} are trained for the first {warmup} steps" if warmup else ""
