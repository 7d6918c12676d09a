"""`losses.jsonl`: one line of JSON for each record."""

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path

from cyclegan.atomic import atomic_write
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.record import Pictures, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.plain import LARGEST, DamagedTextError, from_json, json_lines
from cyclegan.position import Position

log = logging.getLogger(__name__)
NAME = "losses.jsonl"


class JsonLinesLogger:
    """Appends epoch, images, seconds and all values of every record.

    What a run wrote after the checkpoint that it goes on from is cut off first, so that no place
    of the run appears twice.
    """

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        path = journey.folder / NAME
        cut_back(path, journey.start.images)
        _tell_lost(path, journey.start.images, settings.print_freq)
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
    return (record for record in map(_record, json_lines(path)) if record is not None)


def seconds_spent(journey: Journey) -> float:
    """Return the time that was spent on the run before the place where it goes on."""
    records = read_records(journey.folder / NAME)
    return max(
        (r.seconds for r in records if r.position.images <= journey.start.images), default=0.0
    )


def newest_and_holding(path: Path, *names: str) -> tuple[Record | None, list[Record]]:
    """The newest record, and those that hold one of `names`; the others are not parsed."""
    last, holding = b"", []
    signs = [f'"{name}"'.encode() for name in names]
    if not path.exists():
        return None, []
    with path.open("rb") as lines:
        for line in lines:
            last = line if line.endswith(b"\n") else last
            if any(sign in line for sign in signs):
                record = _parse(line)
                if record is not None and any(name in record.values for name in names):
                    holding.append(record)
    return _parse(last) or (holding[-1] if holding else None), holding


def count_damaged(path: Path) -> int:
    """Rows of a run's log that are no records; half a line at the end will be written again."""
    return [_record(line) for line in json_lines(path)].count(None)


def cut_back(path: Path, images: int) -> None:
    """Leave out what comes after `images`, and half a line that a kill may have left at the end."""
    if not path.exists():
        return
    with atomic_write(path) as unfinished, path.open("rb") as lines, unfinished.open("wb") as kept:
        for line in lines:
            record = _parse(line)
            if record is not None and record.position.images > images:
                break
            if line.endswith(b"\n"):
                kept.write(line)  # a line that is no record too: it is not ours to judge


def _tell_lost(path: Path, images: int, every: int) -> None:
    """Say how many rows before `images` can't be read, and whether some are missing at the end."""
    tell_damaged(path)
    seen = [0, *(record.position.images for record in read_records(path))]
    apart = max(every, seen[-1] - seen[-2]) if len(seen) > 2 else every
    missing = images // apart - seen[-1] // apart
    if missing > 0:
        log.warning(
            "%s: ends at %d images, the checkpoint is from %d: about %d rows are lost",
            *(path, seen[-1], images, missing),
        )


def tell_damaged(path: Path) -> None:
    """Say how many rows of a log can't be read."""
    damaged = count_damaged(path)
    if damaged:
        log.warning("%s: %d damaged rows are left out of the curves", path, damaged)


def _parse(line: bytes) -> Record | None:
    """The record of a line; None where it is not a whole one."""
    try:
        return _record(from_json(line)) if line.endswith(b"\n") else None
    except DamagedTextError:
        return None


def _record(line: object) -> Record | None:
    if not isinstance(line, dict) or "images" not in line:
        return None
    read = {name: _number(value) for name, value in line.items()}
    values = {name: value for name, value in read.items() if value is not None}
    place = [values.pop(name, start) for name, start in _PLACE.items()]
    if not all(math.isfinite(value) and 0 <= value <= LARGEST for value in place):
        return None
    images, epoch, seconds = place
    return Record(Position(epoch=int(epoch), images=int(images)), values, seconds)


_PLACE = {"images": math.nan, "epoch": 1.0, "seconds": 0.0}


def _number(value: object) -> float | None:
    """NaN is written as null; what is no number is None."""
    if value is None:
        return math.nan
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
