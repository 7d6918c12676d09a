"""The progress bar; plain lines where the output is no terminal."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cyclegan.loggers.journey import Journey
from cyclegan.loggers.record import Pictures, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position


class ConsoleLogger:
    """Shows epoch, images per second, time left and the losses."""

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._journey = journey
        self._began = time.monotonic()
        self._console = Console(soft_wrap=True, highlight=False)
        self._console.print(
            f"{journey.name}: {journey.images_per_epoch} images an epoch, up to epoch "
            f"{journey.last_epoch}; everything goes to {journey.folder}; Ctrl-C saves and stops",
            markup=False,
        )
        told = journey.environment
        words = [told[key] for key in ("execution", "expected time") if key in told]
        if words:
            self._console.print(f"computes in {'; about '.join(words)}", markup=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} images"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=self._console,
            speed_estimate_period=300,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(
            self._epoch(journey.start),
            total=journey.images,
            completed=journey.start.images,
            losses="",
        )
        self._bar.start()

    def step(self, position: Position) -> None:
        self._bar.update(self._task, completed=position.images, description=self._epoch(position))

    def record(self, record: Record) -> None:
        losses = " ".join(
            f"{_short(name)} {value:.3f}"
            for name, value in record.values.items()
            if not name.startswith(_NO_LOSSES)
        )
        speed = record.values.get("images_per_second", 0.0)
        self._bar.update(self._task, losses=f"{speed:.2f} images/s\n{losses}")
        if not self._console.is_terminal:
            self._console.print(
                f"{self._epoch(record.position)}  {record.position.images}/{self._journey.images} "
                f"images  {speed:.2f} images/s  left {self._left(record.position)}  {losses}"
            )

    def pictures(self, position: Position, pictures: Pictures) -> None:
        """Pictures are not for a console."""

    def saved(self, position: Position) -> None:
        """The console says it at the end."""

    def close(self) -> None:
        self._bar.stop()

    def _epoch(self, position: Position) -> str:
        return f"epoch {position.epoch}/{self._journey.last_epoch}"

    def _left(self, position: Position) -> timedelta:
        done = position.images - self._journey.start.images
        seconds = (time.monotonic() - self._began) / max(1, done)
        left = seconds * (self._journey.images - position.images)
        return timedelta(seconds=round(min(left, _FOREVER)))


_FOREVER = 1e12  # seconds: more than that, a timedelta can't hold

#: What a line of the console has no room for.
_NO_LOSSES = (
    *("learning_rate", "images_per_second", "waiting_for_images", "memory_gib"),
    *("diversity", "light_agreement"),
)


def _short(name: str) -> str:
    """adversarial_a_to_b -> adversarial A>B: the line is long enough."""
    return name.replace("_a_to_b", " A>B").replace("_b_to_a", " B>A")
