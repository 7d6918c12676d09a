"""The run that is logged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import PositiveInt, TypeAdapter, ValidationError

from cyclegan.errors import UserError
from cyclegan.plain import DamagedTextError, from_json
from cyclegan.position import Position

NAME = "journey.json"


@dataclass(frozen=True)
class Journey:
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

    @property
    def images(self) -> int:
        """Images of each domain that the run will have seen at its end."""
        epochs_left = max(0, self.last_epoch + 1 - self.start.epoch)
        left = epochs_left * self.images_per_epoch - self.start.images_in_epoch
        return self.start.images + max(0, left)

    def save(self) -> None:
        """Write it into the run's folder, for reports that are made without training."""
        unfinished = self.folder / f".{NAME}.unfinished"
        unfinished.write_bytes(_ADAPTER.dump_json(self, indent=1, exclude={"folder"}))
        unfinished.replace(self.folder / NAME)


def load(folder: Path) -> Journey:
    """Read the journey of the run in `folder`. Raises UserError, naming the file."""
    path = folder / NAME
    try:
        table = from_json(path.read_bytes())
        table = {**table, "folder": folder} if isinstance(table, dict) else table
        read = _ADAPTER.validate_python(table)
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
    return replace(read, name=folder.name)


_ADAPTER = TypeAdapter(Journey)
