"""What loggers are given, and what a logger is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from cyclegan.loggers.journey import Journey
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position


@dataclass(frozen=True)
class Record:
    """Named values at one place of the run: losses, learning rate, images per second, any other."""

    position: Position
    values: Mapping[str, float]
    seconds: float = 0.0
    """time that was spent on training so far, over all stops"""


Pictures = Mapping[str, Image.Image]
"""Grids by name: "held_out", of the same images every time, and "batch"."""


class Logger(Protocol):
    """Something that shows or keeps what training tells it."""

    def step(self, position: Position) -> None:
        """A step ended at `position`; called after every step, must cost nothing."""

    def record(self, record: Record) -> None:
        """Values to be shown; called every `print_freq` images."""

    def pictures(self, position: Position, pictures: Pictures) -> None:
        """Grids to be shown; called every `display_freq` images."""

    def saved(self, position: Position) -> None:
        """A checkpoint was written."""

    def close(self) -> None:
        """Nothing more will come."""


class LoggerFactory(Protocol):
    """Makes a logger for a run."""

    def __call__(self, settings: LoggerSettings, journey: Journey, /) -> Logger: ...
