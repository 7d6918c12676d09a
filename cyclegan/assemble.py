"""The composition root: settings become a training."""

import logging
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tomli_w
import torch

from cyclegan import checkpoint, classic
from cyclegan.checkpoint import Checkpoint
from cyclegan.data.augment import Augmentation
from cyclegan.data.datasets import DATASETS
from cyclegan.data.feed import Feed
from cyclegan.data.folders import list_images
from cyclegan.data.settings import DataSettings
from cyclegan.data.sizes import check_sizes
from cyclegan.data.unpaired import Domain
from cyclegan.device import choose_device
from cyclegan.errors import UserError
from cyclegan.loggers.record import Journey, Logger
from cyclegan.loggers.table import LOGGERS
from cyclegan.position import Position
from cyclegan.recipes import RECIPES
from cyclegan.settings import Settings
from cyclegan.training.lock import only_trainer
from cyclegan.training.loop import Training
from cyclegan.training.loop import train as run_loop
from cyclegan.training.phase import Phase
from cyclegan.training.state import TrainingState

log = logging.getLogger(__name__)


def train(
    settings: Settings, *, resume: Checkpoint | None = None, init_weights: Path | None = None
) -> int | None:
    """Train by `settings`, from `resume` on if given; return the signal that ended it, if any.

    `init_weights` is a folder of the classic's four files or a checkpoint of ours, to start a new
    run from. Raises UserError, in one line, for whatever a person can put right.
    """
    device = choose_device(settings.run.device)
    torch.manual_seed(settings.run.seed)
    feed = _feed(settings)
    state, phases = RECIPES[settings.run.model](
        settings.networks,
        settings.generator,
        settings.discriminator,
        settings.losses,
        settings.training,
        seed=settings.run.seed,
        device=device,
    )
    start = Position(epoch=settings.training.epoch_count)
    if init_weights is not None:
        _load_weights(state, init_weights)
    if resume is not None:
        state.load_state_dict(resume.state, device)
        start = resume.position
        _tell_data(resume.data, feed)
    _make_folder(settings.run.folder)
    with only_trainer(settings.run.folder):
        try:
            return run_loop(_training(settings, state, phases, feed, device, start), start)
        except torch.OutOfMemoryError:
            raise UserError(
                f"out of memory on {device}: give a smaller --batch_size, --crop_size or --ngf"
            ) from None
        finally:
            feed.close()


def versions() -> dict[str, str]:
    """Versions of what a run rests on."""
    names = ("cyclegan", "torch", "torchvision", "pillow", "numpy", "albumentations")
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _training(
    settings: Settings,
    state: TrainingState,
    phases: Sequence[Phase],
    feed: Feed,
    device: torch.device,
    start: Position,
) -> Training:
    unfinished = settings.run.folder / ".settings.toml.unfinished"
    unfinished.write_text(tomli_w.dumps(settings.table()))
    unfinished.replace(settings.run.folder / "settings.toml")
    return Training(
        state,
        phases,
        feed,
        _loggers(settings, start, len(feed)),
        settings.run.folder,
        device,
        settings.training,
        settings.loggers,
        settings.table(),
        versions(),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _feed(settings: Settings) -> Feed:
    data, networks = settings.data, settings.networks
    # BtoA lets the folders change places, so that all that follows knows one direction.
    folders = [data.folder("A"), data.folder("B")]
    first, second = folders if settings.run.direction == "AtoB" else folders[::-1]
    a = _domain("A", first, networks.input_nc, data)
    b = _domain("B", second, networks.output_nc, data)
    check_sizes(
        [*a.paths, *b.paths],
        data,
        smallest_side=max(8, settings.discriminator.smallest_side),
        # The gradient penalty mixes real and converted images pixel by pixel.
        alike=data.batch_size > 1 or settings.losses.gan_mode == "wgangp",
    )
    seed, serial = settings.run.seed, data.serial_batches
    images = DATASETS[data.dataset_mode](a, b, seed=seed, serial=serial)
    return Feed(
        images, batch_size=data.batch_size, workers=data.num_threads, seed=seed, serial=serial
    )


def _domain(name: str, folder: Path, channels: int, data: DataSettings) -> Domain:
    paths: Sequence[Path] = list_images(folder)
    return Domain(name, paths[: data.max_dataset_size], channels, Augmentation(data, channels))


def _loggers(settings: Settings, start: Position, images_per_epoch: int) -> list[Logger]:
    journey = Journey(
        settings.run.name,
        settings.run.folder,
        start,
        settings.training.last_epoch,
        images_per_epoch,
    )
    return [make(settings.loggers, journey) for make in LOGGERS.values()]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: can't be written ({error.strerror})") from None


def _tell_data(saved: dict[str, int], feed: Feed) -> None:
    """Say if the data set is not the one that the run was trained on so far."""
    now = {"A": len(feed.images.a.paths), "B": len(feed.images.b.paths)}
    if saved != now:
        log.warning("the data set changed since the checkpoint: images %s -> %s", saved, now)


def _load_weights(state: TrainingState, source: Path) -> None:
    """Take the networks' weights from the classic's four files or from a checkpoint of ours."""
    if source.is_dir() and not (source / checkpoint.LATEST).exists():
        for name, path in classic.find_files(source).items():
            classic.load_into(state.networks[name], classic.read_weights(path), path)
        return
    path = source / checkpoint.LATEST if source.is_dir() else source
    saved = checkpoint.load(path).state["networks"]
    for name, network in state.networks.items():
        if name not in saved:
            raise UserError(f"{path}: holds no {name}, but {', '.join(saved)}")
        classic.load_into(network, saved[name], path)
