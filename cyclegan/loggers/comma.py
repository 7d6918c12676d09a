"""`losses.csv`: a table of all records, for spreadsheets."""

import csv
from collections.abc import Sequence
from pathlib import Path

from cyclegan.atomic import atomic_write
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.jsonl import NAME as JSON_LINES
from cyclegan.loggers.jsonl import read_records
from cyclegan.loggers.record import Pictures, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position


class CsvLogger:
    """A row for each record, a column for each name; a new name makes the table wider."""

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._path = journey.folder / "losses.csv"
        self._source = journey.folder / JSON_LINES
        # Written anew from the run's own record: it may have been cut back, or made without this.
        self._columns = _write_table(self._path, list(read_records(self._source)))

    def step(self, position: Position) -> None:
        """Only records are written."""

    def record(self, record: Record) -> None:
        row = _row(record)
        if not row.keys() <= set(self._columns):
            earlier = [r for r in read_records(self._source) if _before(r, record)]
            self._columns = _write_table(self._path, [*earlier, record])
            return
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def pictures(self, position: Position, pictures: Pictures) -> None:
        """Pictures are not for a table."""

    def saved(self, position: Position) -> None:
        """Every row is on the disk already."""

    def close(self) -> None:
        """Nothing is left open."""


def _write_table(path: Path, records: Sequence[Record]) -> list[str]:
    """Write the whole table; return its columns."""
    rows = [_row(record) for record in records]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        atomic_write(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns)
        if columns:
            writer.writeheader()
        writer.writerows(rows)
    return columns


def _row(record: Record) -> dict[str, float]:
    place = {
        "epoch": record.position.epoch,
        "images": record.position.images,
        "seconds": round(record.seconds, 1),
    }
    return place | dict(record.values)


def _before(one: Record, other: Record) -> bool:
    return one.position.images < other.position.images
