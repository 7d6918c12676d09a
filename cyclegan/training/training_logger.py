"""Training logger: what is logged of a training, and when the loggers are called."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from cyclegan.data.batch import Batch
from cyclegan.device import memory_in_use
from cyclegan.logged import Logged, catalogue
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.grid import picture_grid
from cyclegan.loggers.health import ROLLBACKS
from cyclegan.loggers.logger import Logger, Record
from cyclegan.losses.adversarial import DISCRIMINATOR
from cyclegan.losses.pixels import PRETRAINING
from cyclegan.losses.terms import TERMS
from cyclegan.metrics.collapse import DIVERSITY, LIGHT_AGREEMENT, diversity, light_agreement
from cyclegan.run import Position
from cyclegan.training.best import QUALITY
from cyclegan.training.saving import Pace
from cyclegan.training.step import StepResult, Translations

log = logging.getLogger(__name__)

RATE = Logged(
    "learning_rate", title="learning rate, millionths", scale=1e6, smooth=False, brief=False
)
SPEED = Logged("images_per_second", brief=False)
WAITING = Logged(
    "waiting_for_images", title="waiting for images, % of the time", scale=100.0, brief=False
)
MEMORY = Logged("memory_gib", title="memory, GiB", smooth=False, brief=False)
ROLLED_BACK = Logged(ROLLBACKS, title="rollbacks", smooth=False, brief=False)

#: All that a training logs and says more of than its name, each declared where it is made.
LOGGED = catalogue(
    *(term.shown for term in TERMS.values() if term.shown is not None),
    *(
        DISCRIMINATOR,
        PRETRAINING,
        RATE,
        SPEED,
        WAITING,
        MEMORY,
        ROLLED_BACK,
        DIVERSITY,
        LIGHT_AGREEMENT,
    ),
    *QUALITY,
)


@dataclass(frozen=True)
class Display:
    """The loggers, how often they are called, and the held-out images that they show."""

    loggers: Sequence[Logger]
    settings: LoggerSettings
    held_out: Batch | None
    preview: Callable[[Batch], Translations]
    seconds: float = 0.0
    """training time before this start"""


class TrainingLogger:
    """Logger of a training, which calls the loggers when they are due."""

    def __init__(
        self, display: Display, start: Position, device: torch.device, rollbacks: int = 0
    ) -> None:
        self._display = display
        self._always = {ROLLED_BACK.name: float(rollbacks)} if rollbacks else {}
        self._device = device
        self._unreadable: set[Path] = set()
        self._began = self._last = time.monotonic()
        self._images = start.images
        self._waited = 0.0
        self._signs: dict[str, float] = {}
        self._drawing = Pace(display.settings.display_seconds)

    def waited_for(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield `batches`, noting how long training waits for each."""
        iterator = iter(batches)
        while True:
            before = time.monotonic()
            batch = next(iterator, None)
            self._waited += time.monotonic() - before
            if batch is None:
                return
            yield batch

    def reads(self, before: Position, position: Position) -> bool:
        """Return whether the step up to `position` is logged or shown: its values are read."""
        printed = position.passed(before, self._display.settings.print_freq)
        return printed or self._shows(before, position) or self._begins(before)

    def _shows(self, before: Position, position: Position) -> bool:
        return position.passed(before, self._display.settings.display_freq)

    def _begins(self, before: Position) -> bool:
        """Return whether these are the run's first pictures: nobody has to wait for them."""
        return before.images == 0 and self._display.settings.display_freq > 0

    def write(
        self,
        before: Position,
        position: Position,
        batches: Sequence[Batch],
        result: StepResult,
        rate: float,
    ) -> None:
        """Log a step that has ended."""
        for batch in batches:
            self._count_unreadable(batch)
        for logger in self._display.loggers:
            logger.step(position)
        if self._shows(before, position):
            shown = self._previewed()
            self._signs |= _signs(shown)  # drawn or not: records are the same whatever the speed
            self._draw(position, result, shown)
        elif self._begins(before):
            self._draw(position, result, self._previewed())
        if position.passed(before, self._display.settings.print_freq):
            self._record(position, result, {RATE.name: rate} | self._measured(position))

    def add(self, values: Mapping[str, float]) -> None:
        """Add values to the next record."""
        self._signs |= values

    def write_broken(self, position: Position, result: StepResult) -> None:
        """Write the last record of a run that ends because a loss is NaN or infinite."""
        self._record(position, result, {})

    def saved(self, position: Position) -> None:
        """Tell the loggers that a checkpoint was written.

        From here on nothing is lost, whatever a logger meets.
        """
        for logger in self._display.loggers:
            with _told():
                logger.saved(position)

    def close(self) -> None:
        """Close the loggers and log how many files were skipped."""
        for logger in self._display.loggers:
            with _told():
                logger.close()
        if self._unreadable:
            log.warning("%d unreadable images were skipped", len(self._unreadable))

    def _record(self, position: Position, result: StepResult, further: dict[str, float]) -> None:
        values = {name: loss.item() for name, loss in result.losses.items()}
        seconds = self._display.seconds + time.monotonic() - self._began
        record = Record(position, values | further | self._signs | self._always, seconds)
        self._signs = {}
        for logger in self._display.loggers:
            logger.record(record)

    def _measured(self, position: Position) -> dict[str, float]:
        """Return speed, waiting and memory since the last record."""
        now = time.monotonic()
        elapsed = max(now - self._last, 1e-9)
        measured = {
            SPEED.name: (position.images - self._images) / elapsed,
            WAITING.name: min(1.0, self._waited / elapsed),
            MEMORY.name: memory_in_use(self._device),
        }
        self._last, self._images, self._waited = now, position.images, 0.0
        return measured

    def _previewed(self) -> Translations:
        """Translate the held-out images, if there are any."""
        held_out = self._display.held_out
        return {} if held_out is None else self._display.preview(held_out)

    def _draw(self, position: Position, result: StepResult, shown: Translations) -> None:
        """Give the loggers the pictures, unless that took too much of the time so far."""
        if not self._drawing.allows():
            return
        with self._drawing.timed():
            pictures = {"batch": picture_grid(result.translations, upright=True)}
            if self._display.held_out is not None:
                rows = len(self._display.held_out)
                pictures = {"held_out": picture_grid(shown, rows)} | pictures
            for logger in self._display.loggers:
                logger.pictures(position, pictures)

    def _count_unreadable(self, batch: Batch) -> None:
        for path in sorted(batch.unreadable - self._unreadable):
            self._unreadable.add(path)
            log.warning("%s can't be read and is skipped (cyclegan data check)", path)


@contextmanager
def _told() -> Iterator[None]:
    """Turn a logger's write error into a warning, which hides neither a result nor an error."""
    try:
        yield
    except OSError as error:
        log.warning("%s: can't be written (%s)", error.filename or "a log", error.strerror)


def _signs(shown: Translations) -> dict[str, float]:
    """Return what the held-out pictures say about the generators' health."""
    signs = {}
    for direction, made in shown.items():
        signs[LIGHT_AGREEMENT.of(direction)] = light_agreement(made.source, made.fake)
        if len(made.source) > 1:
            signs[DIVERSITY.of(direction)] = diversity(made.source, made.fake)
    return signs
