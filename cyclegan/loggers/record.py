"""What loggers are given, and what a logger is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position


@dataclass(frozen=True)
class Journey:
    """The run that is logged: where it begins this time and how far it goes."""

    name: str
    folder: Path
    start: Position
    last_epoch: int
    images_per_epoch: int

    @property
    def images(self) -> int:
        """Images of each domain that the run will have seen at its end."""
        epochs_left = max(0, self.last_epoch + 1 - self.start.epoch)
        left = epochs_left * self.images_per_epoch - self.start.images_in_epoch
        return self.start.images + max(0, left)


@dataclass(frozen=True)
class Record:
    """Named values at one place of the run: losses, learning rate, images per second, any other."""

    position: Position
    values: Mapping[str, float]


class Logger(Protocol):
    """Something that shows or keeps what training tells it."""

    def step(self, position: Position) -> None:
        """A step ended at `position`; called after every step, must cost nothing."""

    def record(self, record: Record) -> None:
        """Values to be shown; called every `print_freq` images."""

    def pictures(self, position: Position, grid: Image.Image) -> None:
        """A grid to be shown; called every `display_freq` images."""

    def close(self) -> None:
        """Nothing more will come."""


class LoggerFactory(Protocol):
    """Makes a logger for a run."""

    def __call__(self, settings: LoggerSettings, journey: Journey, /) -> Logger: ...
