"""`losses.jsonl`: one line of JSON for each record."""

import json
import math
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


def read_records(path: Path) -> list[Record]:
    """The records of a run, oldest first; a kill may have left half a line at the end."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as lines:
        records = (_parse(line) for line in lines)
        return [record for record in records if record is not None]


def cut_back(path: Path, images: int) -> None:
    """Keep the whole lines up to `images`."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        record = _parse(line)
        if record is None or record.position.images > images:
            break
        kept.append(line)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text("".join(kept), encoding="utf-8")
    unfinished.replace(path)


def _parse(line: str) -> Record | None:
    """The record of a line; None where it is not a whole one."""
    if not line.endswith("\n"):
        return None
    try:
        values = json.loads(line)
        position = Position(epoch=values.pop("epoch", 1), images=values.pop("images"))
        seconds = values.pop("seconds", 0.0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    numbers = {name: math.nan if value is None else value for name, value in values.items()}
    return Record(position, numbers, seconds)
