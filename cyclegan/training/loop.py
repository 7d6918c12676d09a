"""The training loop: epochs, logging, saving, stopping."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.batch import Batch
from cyclegan.data.loader import Loader, LoadingError
from cyclegan.distributed import ALONE, Group
from cyclegan.errors import UserError
from cyclegan.execution.execution import Execution
from cyclegan.loggers.logger import Logger, finish
from cyclegan.run import BEST, Position, RunFolder
from cyclegan.training import TrainingSettings
from cyclegan.training.best import QualityWatch
from cyclegan.training.captured import Step
from cyclegan.training.interrupt import CompilerInterrupted, Interrupted, StopRequest
from cyclegan.training.saving import Saver
from cyclegan.training.state import TrainingState, learning_rate
from cyclegan.training.step import LossWatch, Phase, StepResult
from cyclegan.training.training_logger import Display, TrainingLogger

log = logging.getLogger(__name__)


class DivergedError(UserError):
    """A training whose losses or weights are not finite any more, or have exploded."""

    sound: Checkpoint | None = None
    """what the training can go back to, from memory"""


@dataclass(frozen=True)
class Caller:
    """Python code that asked for a training: what of it listens, and may end it."""

    loggers: tuple[Logger, ...] = ()
    stops: Callable[[], bool] = lambda: False
    """asked after each step"""


#: The command line, which has signals.
NOBODY = Caller()


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
    """the resolved settings as saved in every checkpoint"""
    versions: Mapping[str, str]
    execution: Execution
    compute: Step
    quality: QualityWatch | None = None
    group: Group = ALONE
    watch: LossWatch = field(default_factory=LossWatch)
    rollbacks: int = 0
    """of the run so far"""
    stops: Callable[[], bool] = NOBODY.stops
    """asked after each step; any process ends all"""

    @property
    def images_per_step(self) -> int:
        """Images of each domain in a step, except an epoch's last."""
        return self.loader.batch_size * self.settings.accumulate

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch."""
        scaled = self.images_per_step if self.settings.scale_lr else 1
        lowered = self.settings.rollback_lr**self.rollbacks
        return scaled * lowered * learning_rate(self.settings, epoch)

    @property
    def gives_up(self) -> bool:
        """True where the quality has not risen for as long as the patience allows."""
        return self.quality is not None and self.quality.gives_up

    def snapshot(self, position: Position) -> Checkpoint:
        """Return the checkpoint at `position`. Raises DivergedError where that is not sound."""
        self.check_sound(position)
        images = self.loader.images
        return Checkpoint(
            dict(self.written_settings),
            self.state.state_dict(),
            position,
            {"A": len(images.a.paths), "B": len(images.b.paths)},
            dict(self.versions),
            self.execution.table(),
            best=self.quality.best.row() if self.quality and self.quality.best else None,
            rollbacks=self.rollbacks,
        )

    def check_sound(self, position: Position) -> None:
        """Raise DivergedError where a loss or a weight is NaN or infinite, or has exploded."""
        broken = [*self.watch.broken(), *self.state.not_finite()]
        if broken:
            raise self.diverged(broken, f"after {position.images} images")

    def diverged(self, broken: Iterable[str], when: str) -> DivergedError:
        """Return the error that these losses or networks have diverged."""
        how = "NaN or infinite" if self.settings.on_divergence == "stop" else "diverged"
        return DivergedError(
            f"{', '.join(broken)}: {how} {when}; {RunFolder(self.folder).latest} is from before: "
            "resume from it with --continue_train and a smaller --lr"
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

    def agree(self, *wishes: bool) -> list[bool]:
        """Return the leading process's wishes; a signal to any process stops all."""
        self.stop.signal, granted = self.training.group.agreed(self.stop.received, *wishes)
        return granted

    def save(self, position: Position, *epochs: str) -> None:
        """Save as these epochs; the file is written while training goes on."""
        self.training.group.check_alike(self.training.state.networks)
        self.training.check_sound(position)  # in all processes, as they go on or end together
        if not self.training.group.leads:
            return
        with self.saver.pace.timed():
            self.saver.save(position, *epochs)
            self.logger.saved(position)


def train(training: Training, start: Position) -> int | None:
    """Train from `start` to the last epoch; return the signal that ended it early, if any.

    Raises DivergedError where a loss is NaN or infinite, UserError where images can't be loaded, or
    a checkpoint can't be written, and CompilerInterrupted where the signal came while the first
    step compiled.
    """
    if training.settings.scale_lr and training.group.leads:
        lr, images = training.settings.lr, training.images_per_step
        log.warning("--scale_lr: learning rate %g x %d images = %g", lr, images, lr * images)
    logger = TrainingLogger(training.display, start, training.device, training.rollbacks)
    saver = Saver(training.snapshot, training.folder, training.settings)
    with StopRequest(together=training.group.size > 1) as stop, saver:
        course = Course(training, logger, saver, stop, start)
        if training.group.leads:
            saver.save(start, "latest")
            saver.wait()  # a full disk is found out now, and a killed run can always go on
        position = start
        try:
            while position.epoch <= training.settings.last_epoch and not course.ends:
                position = _epoch(course, position)
            if stop.signal is not None or position != start:
                course.save(position, "latest")
        except DivergedError as error:
            error.sound = saver.sound
            raise
        finally:
            logger.close()
    if stop.signal is None and training.group.leads:
        finish(training.folder)
    return stop.signal


def _epoch(course: Course, position: Position) -> Position:
    """Train the rest of the epoch in progress; return the position reached."""
    training = course.training
    rate = training.rate(position.epoch)
    _set_rate(training, rate)
    fed = training.loader.epoch(position.epoch, skip=position.images_in_epoch)
    # Processes end after the same step: none of them may leave while it waits.
    fed = course.stop.waited_for(fed) if training.group.size == 1 else fed
    waited = course.logger.waited_for(fed)
    grouped = _grouped(waited, training.settings.accumulate)
    try:
        for batches in _loaded_by_all(grouped, training.group):
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
    asked = bool(kept) or settings.save_latest_freq == 0
    (newest,) = course.agree(course.saver.may_save(asked=asked))
    epochs = [*([str(ended)] if kept else []), *(["latest"] if newest else [])]
    if epochs:
        course.save(position, *epochs)
    return position


def _step(course: Course, before: Position, batches: Sequence[Batch], rate: float) -> Position:
    """Train one step, log it, save if due; return the position reached."""
    training, latest = course.training, RunFolder(course.training.folder).latest
    with course.first_compile(before):
        result = _computed(training, before, batches)
    position = before.after(sum(one.whole for one in batches))
    training.watch.note(result, position.images)
    quality = training.quality
    (looks,) = course.agree(quality is not None and quality.due(before, position))
    try:
        if course.logger.reads(before, position):
            _check_finite(training, position, course.logger, result)
        if quality is not None and looks:
            _look(course, quality, position)
        course.logger.write(before, position, batches, result, rate)
    except OSError as error:
        raise UserError(
            f"{error.filename or training.folder}: can't be written ({error.strerror}) after "
            f"{position.images} images; resume from {latest.name} with --continue_train"
        ) from error
    if training.stops():
        course.stop.ask()
    (saves,) = course.agree(course.saver.is_due(before, position))
    if saves:
        course.save(position, "latest")
    return position


def _computed(training: Training, before: Position, batches: Sequence[Batch]) -> StepResult:
    on_device = [one.to(training.device) for one in batches]
    return training.compute(on_device, before.images // training.images_per_step)


def _grouped(batches: Iterable[Batch], count: int) -> Iterator[list[Batch]]:
    iterator = iter(batches)
    while group := list(islice(iterator, count)):
        yield group


def _loaded_by_all(groups: Iterator[list[Batch]], group: Group) -> Iterator[list[Batch]]:
    """Yield what is loaded. Raises LoadingError in all processes where one of them can't load."""
    while True:
        failure = ""
        try:
            batches = next(groups, None)
        except LoadingError as error:
            if group.size == 1:
                raise
            failure = str(error)
        if group.any(failure != ""):
            raise LoadingError(next(filter(None, group.gathered(failure))))
        if batches is None:
            return
        yield batches


def _look(course: Course, quality: QualityWatch, position: Position) -> None:
    """Measure the quality of the pictures; save the checkpoint if it is the best."""
    look = quality.look(position)
    course.logger.add(look.values)
    if look.better:
        course.training.check_sound(position)
    if look.better and course.training.group.leads:
        course.saver.save(position, BEST)


#: Seconds that a signal waits for the compiler: the kernel in progress is mostly done by then.
_PATIENCE = 5.0


def _set_rate(training: Training, rate: float) -> None:
    for phase in training.phases:
        for group in phase.optimizer.param_groups:
            group["lr"] = rate * phase.pace


def _check_finite(
    training: Training, position: Position, logger: TrainingLogger, result: StepResult
) -> None:
    broken = training.watch.broken()
    if broken:
        logger.write_broken(position, result)
        when = f"in epoch {position.epoch}, after {min(broken.values())} images"
        raise training.diverged(broken, when)
