"""The training loop: epochs, logging, saving, stopping."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.data.feed import Batch, Feed, LoadingError
from cyclegan.errors import UserError
from cyclegan.execution.execution import Execution
from cyclegan.position import Position
from cyclegan.quality.watch import QualityWatch
from cyclegan.training.diary import Diary, Display
from cyclegan.training.interrupt import Interrupted, StopRequest
from cyclegan.training.phase import Phase
from cyclegan.training.schedule import learning_rate
from cyclegan.training.settings import TrainingSettings
from cyclegan.training.state import TrainingState
from cyclegan.training.step import StepResult, run_step
from cyclegan.training.watch import LossWatch


@dataclass(frozen=True)
class Training:
    """All that a run needs; made by `assemble`."""

    state: TrainingState
    phases: Sequence[Phase]
    feed: Feed
    display: Display
    folder: Path
    device: torch.device
    settings: TrainingSettings
    written_settings: Mapping[str, Any]
    """the resolved settings as they go into every checkpoint"""
    versions: Mapping[str, str]
    execution: Execution
    quality: QualityWatch | None = None
    watch: LossWatch = field(default_factory=LossWatch)

    @property
    def images_per_step(self) -> int:
        """Images of each domain in a step, but for an epoch's last."""
        return self.feed.batch_size * self.settings.accumulate

    @property
    def gives_up(self) -> bool:
        """Whether the quality has not risen for as long as was asked for."""
        return self.quality is not None and self.quality.gives_up

    def save(self, position: Position, epoch: str = "latest") -> Path:
        """Write the checkpoint of `epoch`: 'latest', 'best' or a number."""
        broken = [*self.watch.broken(), *self.state.not_finite()]
        if broken:
            raise UserError(
                f"{', '.join(broken)}: NaN or infinite after {position.images} images; "
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
            self.execution.table(),
            best=self.quality.best.table() if self.quality and self.quality.best else {},
        )
        return checkpoint.save(content, self.folder, epoch, self.settings.keep)


def train(training: Training, start: Position) -> int | None:
    """Train from `start` to the last epoch; return the signal that ended it before, if any.

    Raises UserError where a loss is NaN or infinite, images can't be loaded, or a checkpoint can't
    be written.
    """
    diary = Diary(training.display, start, training.device)
    with StopRequest() as stop:
        training.save(start)  # a full disk is found out now, and a killed run can always go on
        position = start
        try:
            last = training.settings.last_epoch
            while position.epoch <= last and stop.signal is None and not training.gives_up:
                position = _epoch(training, position, diary, stop)
            if stop.signal is not None or position != start:
                _save(training, diary, position)
        finally:
            diary.close()
    return stop.signal


def _epoch(training: Training, position: Position, diary: Diary, stop: StopRequest) -> Position:
    """Train the rest of the epoch in progress; return the place reached."""
    rate = learning_rate(training.settings, position.epoch)
    _set_rate(training, rate)
    fed = training.feed.epoch(position.epoch, skip=position.images_in_epoch)
    waited = diary.waited_for(stop.waited_for(fed))
    try:
        for batches in _grouped(waited, training.settings.accumulate):
            position = _step(training, position, batches, rate, diary)
            if stop.signal is not None or training.gives_up:
                return position
    except Interrupted:
        return position
    except LoadingError:
        _save(training, diary, position)
        raise
    ended, position = position.epoch, position.next_epoch()
    every = training.settings.save_epoch_freq
    if every and (ended % every == 0 or ended == training.settings.last_epoch):
        training.save(position, epoch=str(ended))
        _save(training, diary, position)
    elif training.settings.save_latest_freq == 0:
        _save(training, diary, position)
    return position


def _step(
    training: Training, before: Position, batches: Sequence[Batch], rate: float, diary: Diary
) -> Position:
    """Train one step, log it, save where it is time; return the place reached."""
    moved = [one.to(training.device) for one in batches]
    result = run_step(
        training.phases,
        training.state,
        moved,
        number=before.images // training.images_per_step,
        apart=training.execution.apart,
    )
    position = before.after(sum(len(one) for one in batches))
    training.watch.note(result, position.images)
    try:
        if diary.reads(before, position):
            _check_finite(training, position, diary, result)
        if training.quality is not None and training.quality.due(before, position):
            _look(training, training.quality, diary, position)
        diary.write(before, position, batches, result, rate)
    except OSError as error:
        raise UserError(
            f"{error.filename or training.folder}: can't be written ({error.strerror}) after "
            f"{position.images} images; go on from {checkpoint.LATEST} with --continue_train"
        ) from error
    if position.passed(before, training.settings.save_latest_freq):
        _save(training, diary, position)
    return position


def _grouped(batches: Iterable[Batch], count: int) -> Iterator[list[Batch]]:
    iterator = iter(batches)
    while group := list(islice(iterator, count)):
        yield group


def _look(training: Training, quality: QualityWatch, diary: Diary, position: Position) -> None:
    """Measure how good the pictures are; keep the checkpoint that makes the best."""
    look = quality.look(position)
    diary.add(look.values)
    if look.better:
        training.save(position, epoch=checkpoint.BEST)


def _save(training: Training, diary: Diary, position: Position) -> None:
    training.save(position)
    diary.saved(position)


def _set_rate(training: Training, rate: float) -> None:
    for phase in training.phases:
        for group in phase.optimizer.param_groups:
            group["lr"] = rate


def _check_finite(training: Training, position: Position, diary: Diary, result: StepResult) -> None:
    broken = training.watch.broken()
    if broken:
        diary.write_broken(position, result)
        raise UserError(
            f"{', '.join(broken)}: NaN or infinite in epoch {position.epoch}, "
            f"after {min(broken.values())} images; {training.folder / checkpoint.LATEST} is from "
            "before: "
            "go on from it with --continue_train and a smaller --lr"
        )
