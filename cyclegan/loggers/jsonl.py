"""The log `losses.jsonl`, one line of JSON for each record: written, read, cut and exported."""

import csv
import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path

from cyclegan.atomic import atomic_write
from cyclegan.errors import UserError
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.logger import Logger, Record, RunInfo
from cyclegan.plain import DamagedTextError, from_json, json_lines
from cyclegan.run import RunFolder

log = logging.getLogger(__name__)


class JsonLinesLogger(Logger):
    """Logger that appends epoch, images, seconds and all values of every record.

    Records from after the checkpoint that a run resumes from are cut off first, so that no position
    appears twice.
    """

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        path = RunFolder(run_info.folder).losses
        cut_back(path, run_info.start.images)
        _tell_lost(path, run_info.start.images, settings.print_freq)
        self._file = path.open("a", encoding="utf-8")

    def record(self, record: Record) -> None:
        # JSON knows no NaN: null stands for it.
        row = {n: v if math.isfinite(v) else None for n, v in record.row().items()}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """Return the records of a run, oldest first; invalid lines are skipped."""
    return (record for record in map(Record.of_row, json_lines(path)) if record is not None)


def seconds_spent(run_info: RunInfo) -> float:
    """Return the time in seconds that the run took before the position it resumes from."""
    records = read_records(RunFolder(run_info.folder).losses)
    return max(
        (r.seconds for r in records if r.position.images <= run_info.start.images), default=0.0
    )


def write_table(folder: Path) -> Path:
    """Write the records of the run in `folder` as CSV; return the file's path.

    A row for each record, a column for each name. Raises UserError if the run has no log.
    """
    run = RunFolder(folder)
    if not run.losses.exists():
        raise UserError(f"{run.losses}: missing; cyclegan train writes it")
    tell_damaged(run.losses)
    rows = [record.row() for record in read_records(run.losses)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        atomic_write(run.table) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns)
        if columns:
            writer.writeheader()
        writer.writerows(rows)
    return run.table


def newest_and_holding(path: Path, *names: str) -> tuple[Record | None, list[Record]]:
    """Return the newest record, and those with one of `names`; other lines are not parsed."""
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
    """Count the invalid rows of a run's log; an unfinished last line, to be rewritten, is none."""
    return [Record.of_row(line) for line in json_lines(path)].count(None)


def cut_back(path: Path, images: int) -> None:
    """Remove records after `images`, and an unfinished last line that a kill may have left."""
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
    """Warn how many rows before `images` are damaged or missing at the end."""
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
    """Warn how many rows of a log are damaged."""
    damaged = count_damaged(path)
    if damaged:
        log.warning("%s: %d damaged rows are left out of the curves", path, damaged)


def _parse(line: bytes) -> Record | None:
    """Return the record of a line; None if the line is invalid or incomplete."""
    try:
        return Record.of_row(from_json(line)) if line.endswith(b"\n") else None
    except DamagedTextError:
        return None
