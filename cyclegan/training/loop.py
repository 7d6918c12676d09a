"""The training loop: epochs, logging, saving, stopping."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.loader import Batch, Loader, LoadingError
from cyclegan.errors import UserError
from cyclegan.execution.execution import Execution
from cyclegan.loggers.logger import finish
from cyclegan.run import BEST, Position, RunFolder
from cyclegan.training import TrainingSettings
from cyclegan.training.best import QualityWatch
from cyclegan.training.captured import Step
from cyclegan.training.interrupt import CompilerInterrupted, Interrupted, StopRequest
from cyclegan.training.saving import Saver
from cyclegan.training.schedule import learning_rate
from cyclegan.training.state import TrainingState
from cyclegan.training.step import LossWatch, Phase, StepResult
from cyclegan.training.training_logger import Display, TrainingLogger


@dataclass(frozen=True)
class Training:
    """All that a run needs; made by `assemble`."""

    state: TrainingState
    phases: Sequence[Phase]
    loader: Loader
    display: Display
    folder: Path
    device: torch.device
    settings: TrainingSettings
    written_settings: Mapping[str, Any]
    """the resolved settings as they go into every checkpoint"""
    versions: Mapping[str, str]
    execution: Execution
    compute: Step
    quality: QualityWatch | None = None
    watch: LossWatch = field(default_factory=LossWatch)

    @property
    def images_per_step(self) -> int:
        """Images of each domain in a step, except an epoch's last."""
        return self.loader.batch_size * self.settings.accumulate

    @property
    def gives_up(self) -> bool:
        """True where the quality has not risen for as long as the patience allows."""
        return self.quality is not None and self.quality.gives_up

    def snapshot(self, position: Position) -> Checkpoint:
        """Return the checkpoint at `position`.

        Raises UserError where a loss or a weight is NaN or infinite.
        """
        broken = [*self.watch.broken(), *self.state.not_finite()]
        if broken:
            raise UserError(
                f"{', '.join(broken)}: NaN or infinite after {position.images} images; "
                f"{RunFolder(self.folder).latest} is from before: go on from it with "
                "--continue_train and a smaller --lr"
            )
        images = self.loader.images
        return Checkpoint(
            dict(self.written_settings),
            self.state.state_dict(),
            position,
            {"A": len(images.a.paths), "B": len(images.b.paths)},
            dict(self.versions),
            self.execution.table(),
            best=self.quality.best.row() if self.quality and self.quality.best else None,
        )


@dataclass(frozen=True)
class Course:
    """A training in progress, with its logger, saver and stop request."""

    training: Training
    logger: TrainingLogger
    saver: Saver
    stop: StopRequest
    start: Position

    @property
    def ends(self) -> bool:
        """True where the training ends before its last epoch."""
        return self.stop.signal is not None or self.training.gives_up

    def first_compile(self, position: Position) -> AbstractContextManager[None]:
        """Return a context that may give up the first step: nothing was trained before it."""
        if position == self.start and self.training.execution.compiled:
            return self.stop.while_compiling(_PATIENCE)
        return nullcontext()

    def save(self, position: Position, *epochs: str) -> None:
        """Save as these epochs; the file is written while training goes on."""
        with self.saver.pace.timed():
            self.saver.save(position, *epochs)
            self.logger.saved(position)


def train(training: Training, start: Position) -> int | None:
    """Train from `start` to the last epoch; return the signal that ended it early, if any.

    Raises UserError where a loss is NaN or infinite, images can't be loaded, or a checkpoint can't
    be written, and CompilerInterrupted where the signal came while the first step compiled.
    """
    logger = TrainingLogger(training.display, start, training.device)
    saver = Saver(training.snapshot, training.folder, training.settings)
    with StopRequest() as stop, saver:
        saver.save(start, "latest")
        saver.wait()  # a full disk is found out now, and a killed run can always go on
        course = Course(training, logger, saver, stop, start)
        position = start
        try:
            while position.epoch <= training.settings.last_epoch and not course.ends:
                position = _epoch(course, position)
            if stop.signal is not None or position != start:
                course.save(position, "latest")
        finally:
            logger.close()
    if stop.signal is None:
        finish(training.folder)
    return stop.signal


def _epoch(course: Course, position: Position) -> Position:
    """Train the rest of the epoch in progress; return the position reached."""
    training = course.training
    rate = learning_rate(training.settings, position.epoch)
    _set_rate(training, rate)
    fed = training.loader.epoch(position.epoch, skip=position.images_in_epoch)
    waited = course.logger.waited_for(course.stop.waited_for(fed))
    try:
        for batches in _grouped(waited, training.settings.accumulate):
            position = _step(course, position, batches, rate)
            if course.ends:
                return position
    except CompilerInterrupted:
        raise
    except Interrupted:
        return position
    except LoadingError:
        course.save(position, "latest")
        raise
    return _ended(course, position)


def _ended(course: Course, position: Position) -> Position:
    """Save what is kept of an epoch that ended at `position`; return the start of the next."""
    settings = course.training.settings
    ended, position = position.epoch, position.next_epoch()
    every = settings.save_epoch_freq
    kept = every and (ended % every == 0 or ended == settings.last_epoch)
    newest = course.saver.may_save(asked=bool(kept) or settings.save_latest_freq == 0)
    epochs = [*([str(ended)] if kept else []), *(["latest"] if newest else [])]
    if epochs:
        course.save(position, *epochs)
    return position


def _step(course: Course, before: Position, batches: Sequence[Batch], rate: float) -> Position:
    """Train one step, log it, save if due; return the position reached."""
    training, latest = course.training, RunFolder(course.training.folder).latest
    with course.first_compile(before):
        result = _computed(training, before, batches)
    position = before.after(sum(len(one) for one in batches))
    training.watch.note(result, position.images)
    try:
        if course.logger.reads(before, position):
            _check_finite(training, position, course.logger, result)
        if training.quality is not None and training.quality.due(before, position):
            _look(course, training.quality, position)
        course.logger.write(before, position, batches, result, rate)
    except OSError as error:
        raise UserError(
            f"{error.filename or training.folder}: can't be written ({error.strerror}) after "
            f"{position.images} images; go on from {latest.name} with --continue_train"
        ) from error
    if course.saver.is_due(before, position):
        course.save(position, "latest")
    return position


def _computed(training: Training, before: Position, batches: Sequence[Batch]) -> StepResult:
    on_device = [one.to(training.device) for one in batches]
    return training.compute(on_device, before.images // training.images_per_step)


def _grouped(batches: Iterable[Batch], count: int) -> Iterator[list[Batch]]:
    iterator = iter(batches)
    while group := list(islice(iterator, count)):
        yield group


def _look(course: Course, quality: QualityWatch, position: Position) -> None:
    """Measure the quality of the pictures; save the checkpoint if it is the best."""
    look = quality.look(position)
    course.logger.add(look.values)
    if look.better:
        course.saver.save(position, BEST)


#: Seconds that a signal waits for the compiler: the kernel in progress is mostly done by then.
_PATIENCE = 5.0


def _set_rate(training: Training, rate: float) -> None:
    for phase in training.phases:
        for group in phase.optimizer.param_groups:
            group["lr"] = rate


def _check_finite(
    training: Training, position: Position, logger: TrainingLogger, result: StepResult
) -> None:
    broken = training.watch.broken()
    if broken:
        logger.write_broken(position, result)
        raise UserError(
            f"{', '.join(broken)}: NaN or infinite in epoch {position.epoch}, "
            f"after {min(broken.values())} images; {RunFolder(training.folder).latest} is from "
            "before: "
            "go on from it with --continue_train and a smaller --lr"
        )
