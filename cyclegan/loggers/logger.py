"""The logger interface, and what loggers are given: records, pictures and the run's information."""

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
    """Named values at one position of a run: losses, learning rate, images per second, others."""

    position: Position
    values: Mapping[str, float]
    seconds: float = 0.0
    """training time so far, across resumes"""

    def row(self) -> dict[str, float]:
        """Return the row of logs and tables: the position, then the values."""
        place = {
            "epoch": self.position.epoch,
            "images": self.position.images,
            "seconds": round(self.seconds, 1),
        }
        return place | dict(self.values)

    @classmethod
    def of_row(cls, row: object) -> "Record | None":
        """Read a row written by `row`, None as NaN; return None if it is no such row."""
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
    """Return a number, with null as NaN; None for what is no number."""
    if value is None:
        return math.nan
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


Pictures = Mapping[str, Image.Image]
"""Grids by name: "held_out", of the same images every time, and "batch"."""


class Logger:
    """Base class of loggers: its methods do nothing, subclasses override those they need."""

    def step(self, position: Position) -> None:
        """Handle the end of a step at `position`; called after every step, so it must be cheap."""

    def record(self, record: Record) -> None:
        """Handle new values; called every `print_freq` images."""

    def pictures(self, position: Position, pictures: Pictures) -> None:
        """Handle new grids; called every `display_freq` images."""

    def saved(self, position: Position) -> None:
        """Handle a checkpoint written at `position`."""

    def close(self) -> None:
        """Handle the end of the training."""


@dataclass(frozen=True)
class RunInfo:
    """Description of a run: its start this time, its planned end, its settings and environment."""

    name: str
    folder: Path
    start: Position
    last_epoch: int
    images_per_epoch: int
    side: PositiveInt = 256
    """side of a held-out picture in pixels"""
    guessing: float | None = None
    """a discriminator's loss at chance level; None if meaningless"""
    settings: Mapping[str, str] = field(default_factory=dict)
    """the settings that differ from their defaults, by dotted key"""
    environment: Mapping[str, str] = field(default_factory=dict)
    """device and versions"""
    reached: Position | None = None
    """position of its newest checkpoint; None before the first one"""
    known: Catalogue = field(default_factory=dict)
    """metadata of the logged values; not saved"""
    finished: bool = False
    """whether it completed: reached the last epoch, or stopped by patience"""

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
        """Write the description into the run's folder, for reports made without training."""
        with atomic_write(RunFolder(self.folder).run_info) as unfinished:
            unfinished.write_bytes(_RUN_INFO.dump_json(self, indent=1, exclude={"folder", "known"}))


class RunInfoLogger(Logger):
    """Logger that keeps the position of the newest checkpoint in `journey.json`."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._run_info = run_info

    def saved(self, position: Position) -> None:
        replace(self._run_info, reached=position).save()


def finish(folder: Path) -> None:
    """Mark the run in `folder` as finished. Raises UserError, OSError."""
    replace(load_run_info(folder), finished=True).save()


def load_run_info(folder: Path, known: Catalogue | None = None) -> RunInfo:
    """Load the description of the run in `folder`; `known` is the catalogue of its values.

    Raises UserError, naming the file.
    """
    path = RunFolder(folder).run_info
    try:
        table = from_json(path.read_bytes())
        table = {**table, "folder": folder} if isinstance(table, dict) else table
        read = _RUN_INFO.validate_python(table)
    except FileNotFoundError:
        raise UserError(
            f"{path}: missing; cyclegan train writes it, also when a run is resumed"
        ) from None
    except (DamagedTextError, ValidationError) as error:
        reason = (
            f"{error.error_count()} errors in it" if isinstance(error, ValidationError) else error
        )
        raise UserError(
            f"{path}: damaged ({reason}); cyclegan train --continue_train rewrites it"
        ) from None
    return replace(read, name=folder.name, known=known or {})


_RUN_INFO = TypeAdapter(RunInfo)
