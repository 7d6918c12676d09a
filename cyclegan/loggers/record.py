"""What loggers are given, and what a logger is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from cyclegan.plain import LARGEST
from cyclegan.position import Position


@dataclass(frozen=True)
class Record:
    """Named values at one place of the run: losses, learning rate, images per second, any other."""

    position: Position
    values: Mapping[str, float]
    seconds: float = 0.0
    """time that was spent on training so far, over all stops"""

    def row(self) -> dict[str, float]:
        """Return what a log's line and a table's row hold: the place, then the values."""
        place = {
            "epoch": self.position.epoch,
            "images": self.position.images,
            "seconds": round(self.seconds, 1),
        }
        return place | dict(self.values)

    @classmethod
    def of_row(cls, row: object) -> "Record | None":
        """Read a row that `row` made, NaN where it holds None; None where it is no such row."""
        if not isinstance(row, dict) or "images" not in row:
            return None
        read = {name: _number(value) for name, value in row.items()}
        values = {name: value for name, value in read.items() if value is not None}
        place = [values.pop(name, start) for name, start in _PLACE.items()]
        if not all(math.isfinite(value) and 0 <= value <= LARGEST for value in place):
            return None
        images, epoch, seconds = place
        return cls(Position(epoch=int(epoch), images=int(images)), values, seconds)


_PLACE = {"images": math.nan, "epoch": 1.0, "seconds": 0.0}


def _number(value: object) -> float | None:
    """NaN is written as null; what is no number is None."""
    if value is None:
        return math.nan
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


Pictures = Mapping[str, Image.Image]
"""Grids by name: "held_out", of the same images every time, and "batch"."""


class Logger:
    """Shows or keeps what training tells it; this one does nothing, others take what they want."""

    def step(self, position: Position) -> None:
        """Hear that a step ended at `position`; called after every step, must cost nothing."""

    def record(self, record: Record) -> None:
        """Take values to be shown; called every `print_freq` images."""

    def pictures(self, position: Position, pictures: Pictures) -> None:
        """Take grids to be shown; called every `display_freq` images."""

    def saved(self, position: Position) -> None:
        """Hear that a checkpoint was written."""

    def close(self) -> None:
        """Hear that nothing more will come."""
