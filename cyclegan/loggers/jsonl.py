"""`losses.jsonl`: one line of JSON for each record."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from cyclegan.loggers.journey import Journey
from cyclegan.loggers.record import Pictures, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position

NAME = "losses.jsonl"


class JsonLinesLogger:
    """Appends epoch, images, seconds and all values of every record.

    What a run wrote after the checkpoint that it goes on from is cut off first, so that no place
    of the run appears twice.
    """

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        path = journey.folder / NAME
        cut_back(path, journey.start.images)
        self._file = path.open("a", encoding="utf-8")

    def step(self, position: Position) -> None:
        """Only records are written."""

    def record(self, record: Record) -> None:
        place = {
            "epoch": record.position.epoch,
            "images": record.position.images,
            "seconds": round(record.seconds, 1),
        }
        # JSON knows no NaN: null stands for it.
        values = {n: v if math.isfinite(v) else None for n, v in record.values.items()}
        self._file.write(json.dumps(place | values) + "\n")
        self._file.flush()

    def pictures(self, position: Position, pictures: Pictures) -> None:
        """Pictures are not for this file."""

    def saved(self, position: Position) -> None:
        """Every line is on the disk already."""

    def close(self) -> None:
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """The records of a run, oldest first; lines that are none are passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            record = _parse(line)
            if record is not None:
                yield record


def cut_back(path: Path, images: int) -> None:
    """Leave out what comes after `images`, and half a line that a kill may have left at the end."""
    if not path.exists():
        return
    unfinished = path.with_name(f".{path.name}.unfinished")
    with path.open("rb") as lines, unfinished.open("wb") as kept:
        for line in lines:
            record = _parse(line.decode(errors="replace"))
            if record is not None and record.position.images > images:
                break
            if line.endswith(b"\n"):
                kept.write(line)  # a line that is no record too: it is not ours to judge
    unfinished.replace(path)


def _parse(line: str) -> Record | None:
    """The record of a line; None where it is not a whole one."""
    if not line.endswith("\n"):
        return None
    try:
        read = {name: _number(value) for name, value in json.loads(line).items()}
        values = {name: value for name, value in read.items() if value is not None}
        images, epoch, seconds = (
            values.pop("images"),
            values.pop("epoch", 1),
            values.pop("seconds", 0.0),
        )
    except (ValueError, KeyError, AttributeError):
        return None
    if not all(map(math.isfinite, (images, epoch, seconds))):
        return None
    return Record(Position(epoch=int(epoch), images=int(images)), values, seconds)


def _number(value: object) -> float | None:
    """NaN is written as null; what is no number is None."""
    if value is None:
        return math.nan
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
