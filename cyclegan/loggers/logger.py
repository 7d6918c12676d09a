"""What loggers are given, and what a logger is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image
from pydantic import PositiveInt, TypeAdapter, ValidationError

from cyclegan.atomic import atomic_write
from cyclegan.errors import UserError
from cyclegan.logged import Catalogue
from cyclegan.loggers import LoggerSettings
from cyclegan.plain import LARGEST, DamagedTextError, from_json
from cyclegan.run import Position, RunFolder


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


@dataclass(frozen=True)
class RunInfo:
    """Where a run begins this time, how far it goes, and what it is."""

    name: str
    folder: Path
    start: Position
    last_epoch: int
    images_per_epoch: int
    side: PositiveInt = 256
    """pixels of a side of a held-out picture"""
    guessing: float | None = None
    """a discriminator's loss when it can only guess; None where it has no meaning"""
    settings: Mapping[str, str] = field(default_factory=dict)
    """the settings that differ from their defaults, by dotted key"""
    environment: Mapping[str, str] = field(default_factory=dict)
    """device and versions"""
    reached: Position | None = None
    """where its newest checkpoint was taken; None before the first one"""
    known: Catalogue = field(default_factory=dict)
    """what is known of the values that it logs; it is not saved"""
    finished: bool = False
    """whether it came to its end: to the last epoch, or to where patience ended"""

    @property
    def images(self) -> int:
        """Images of each domain that the run will have seen at its end."""
        epochs_left = max(0, self.last_epoch + 1 - self.start.epoch)
        left = epochs_left * self.images_per_epoch - self.start.images_in_epoch
        return self.start.images + max(0, left)

    @property
    def display_env(self) -> str:
        """The run's environment on a Visdom server."""
        return self.settings.get("loggers.display_env", self.name)

    def save(self) -> None:
        """Write it into the run's folder, for reports that are made without training."""
        with atomic_write(RunFolder(self.folder).run_info) as unfinished:
            unfinished.write_bytes(_RUN_INFO.dump_json(self, indent=1, exclude={"folder", "known"}))


class RunInfoLogger(Logger):
    """Keeps in `journey.json` how far the run is saved."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._run_info = run_info

    def saved(self, position: Position) -> None:
        replace(self._run_info, reached=position).save()


def finish(folder: Path) -> None:
    """Note that the run in `folder` came to its end. Raises UserError, OSError."""
    replace(load_run_info(folder), finished=True).save()


def load_run_info(folder: Path, known: Catalogue | None = None) -> RunInfo:
    """Read what is known of the run in `folder`, whose values are `known` so.

    Raises UserError, naming the file.
    """
    path = RunFolder(folder).run_info
    try:
        table = from_json(path.read_bytes())
        table = {**table, "folder": folder} if isinstance(table, dict) else table
        read = _RUN_INFO.validate_python(table)
    except FileNotFoundError:
        raise UserError(
            f"{path}: missing; cyclegan train writes it, also when a run goes on"
        ) from None
    except (DamagedTextError, ValidationError) as error:
        reason = (
            f"{error.error_count()} errors in it" if isinstance(error, ValidationError) else error
        )
        raise UserError(
            f"{path}: damaged ({reason}); cyclegan train --continue_train writes it anew"
        ) from None
    return replace(read, name=folder.name, known=known or {})


_RUN_INFO = TypeAdapter(RunInfo)
