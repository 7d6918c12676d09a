"""The training loop: epochs, logging, saving, stopping."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.data.feed import Batch, Feed
from cyclegan.errors import UserError
from cyclegan.loggers.grid import picture_grid
from cyclegan.loggers.record import Logger, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position
from cyclegan.training.interrupt import StopRequest
from cyclegan.training.phase import Phase
from cyclegan.training.schedule import learning_rate
from cyclegan.training.settings import TrainingSettings
from cyclegan.training.state import TrainingState
from cyclegan.training.step import StepResult, run_step

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """All that a run needs; made by `assemble`."""

    state: TrainingState
    phases: Sequence[Phase]
    feed: Feed
    loggers: Sequence[Logger]
    folder: Path
    device: torch.device
    settings: TrainingSettings
    logging: LoggerSettings
    written_settings: Mapping[str, Any]
    """the resolved settings as they go into every checkpoint"""
    versions: Mapping[str, str]

    def save(self, position: Position, epoch: int | None = None) -> Path:
        """Write `latest.pt`, or the checkpoint of `epoch`."""
        broken = self.state.not_finite()
        if broken:
            raise UserError(
                f"{', '.join(broken)}: weights are NaN or infinite after {position.images} images; "
                f"{self.folder / checkpoint.LATEST} is from before: go on from it with "
                "--continue_train and a smaller --lr"
            )
        images = self.feed.images
        content = Checkpoint(
            dict(self.written_settings),
            self.state.state_dict(),
            position,
            {"A": len(images.a.paths), "B": len(images.b.paths)},
            dict(self.versions),
        )
        return checkpoint.save(content, self.folder, epoch, self.settings.keep)


def train(training: Training, start: Position) -> int | None:
    """Train from `start` to the last epoch; return the signal that ended it before, if any.

    Raises UserError where a loss is NaN or infinite, or a checkpoint can't be written.
    """
    diary = Diary(training, start)
    with StopRequest() as stop:
        training.save(start)  # a full disk is found out now, and a killed run can always go on
        position = start
        try:
            while position.epoch <= training.settings.last_epoch and stop.signal is None:
                position = _epoch(training, position, diary, stop)
        finally:
            diary.close()
        if stop.signal is not None or position != start:
            training.save(position)
    return stop.signal


def _epoch(training: Training, position: Position, diary: "Diary", stop: StopRequest) -> Position:
    """Train the rest of the epoch in progress; return the place reached."""
    rate = learning_rate(training.settings, position.epoch)
    _set_rate(training, rate)
    for batch in training.feed.epoch(position.epoch, skip=position.images_in_epoch):
        result = run_step(training.phases, training.state.networks, batch.to(training.device))
        before, position = position, position.after(len(batch))
        _check_finite(result, position, training.folder)
        try:
            diary.write(before, position, batch, result, rate)
        except OSError as error:
            raise UserError(
                f"{error.filename or training.folder}: can't be written ({error.strerror}) after "
                f"{position.images} images; go on from {checkpoint.LATEST} with --continue_train"
            ) from error
        if position.passed(before, training.settings.save_latest_freq):
            training.save(position)
        if stop.signal is not None:
            return position
    ended, position = position.epoch, position.next_epoch()
    every = training.settings.save_epoch_freq
    if every and (ended % every == 0 or ended == training.settings.last_epoch):
        training.save(position, epoch=ended)
        training.save(position)
    elif training.settings.save_latest_freq == 0:
        training.save(position)
    return position


def _set_rate(training: Training, rate: float) -> None:
    for phase in training.phases:
        for group in phase.optimizer.param_groups:
            group["lr"] = rate


def _check_finite(result: StepResult, position: Position, folder: Path) -> None:
    broken = result.not_finite()
    if broken:
        raise UserError(
            f"{', '.join(broken)}: NaN or infinite in epoch {position.epoch}, "
            f"after {position.images} images; {folder / checkpoint.LATEST} is from before: "
            "go on from it with --continue_train and a smaller --lr"
        )


class Diary:
    """Tells the loggers what they are to hear, and when."""

    def __init__(self, training: Training, start: Position) -> None:
        self._loggers = training.loggers
        self._settings = training.logging
        self._unreadable: set[Path] = set()
        self._since = (time.monotonic(), start.images)

    def write(
        self, before: Position, position: Position, batch: Batch, result: StepResult, rate: float
    ) -> None:
        """One step has ended."""
        self._count_unreadable(batch)
        for logger in self._loggers:
            logger.step(position)
        if position.passed(before, self._settings.print_freq):
            values = {name: loss.item() for name, loss in result.losses.items()}
            values |= {"learning_rate": rate, "images_per_second": self._speed(position)}
            for logger in self._loggers:
                logger.record(Record(position, values))
        if position.passed(before, self._settings.display_freq):
            grid = picture_grid(result.translations)
            for logger in self._loggers:
                logger.pictures(position, grid)

    def close(self) -> None:
        """Close the loggers and say how many files were passed over."""
        for logger in self._loggers:
            logger.close()
        if self._unreadable:
            log.warning("%d unreadable images were passed over", len(self._unreadable))

    def _speed(self, position: Position) -> float:
        """Images per second since the last record."""
        (then, images), now = self._since, time.monotonic()
        self._since = (now, position.images)
        return (position.images - images) / max(now - then, 1e-9)

    def _count_unreadable(self, batch: Batch) -> None:
        for path in sorted(batch.unreadable - self._unreadable):
            self._unreadable.add(path)
            log.warning("%s can't be read and is passed over (cyclegan data check)", path)
