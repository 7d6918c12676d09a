"""The report as a logger, and made from a run's files."""

from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.loggers import journey as journeys
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.jsonl import NAME as JSON_LINES
from cyclegan.loggers.jsonl import read_records, tell_damaged
from cyclegan.loggers.pictures import opened, saved_pictures, thinned
from cyclegan.loggers.record import Pictures, Record
from cyclegan.loggers.report.page import SLIDER, Report
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position

NAME = "report.html"


class ReportLogger:
    """Writes `report.html` anew at every checkpoint.

    What it shows is kept at hand and thinned, so a checkpoint costs the same however long the run.
    """

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._path = journey.folder / NAME
        self._report = _gathered(journey)

    def step(self, position: Position) -> None:
        """Only records and pictures are shown."""

    def record(self, record: Record) -> None:
        self._report.add(record)

    def pictures(self, position: Position, pictures: Pictures) -> None:
        if "held_out" in pictures:
            self._report.show(position, pictures["held_out"])

    def saved(self, position: Position) -> None:
        self._report.write(self._path, position)

    def close(self) -> None:
        """What came after the last checkpoint is shown too, why a run ended above all."""
        self._report.write(self._path)


def write_report(folder: Path) -> Path:
    """Write the report of a run from its files; return its path. Raises UserError."""
    if not folder.is_dir():
        runs = sorted(path.parent.name for path in folder.parent.glob(f"*/{journeys.NAME}"))
        there = f"; there are {', '.join(runs)}" if runs else ""
        raise UserError(f"{folder}: no such run{there}")
    tell_damaged(folder / JSON_LINES)
    report = _gathered(journeys.load(folder))
    path = folder / NAME
    report.write(path)
    return path


def _gathered(journey: Journey) -> Report:
    """A report with all that the run's files hold."""
    report = Report(journey)
    for record in read_records(journey.folder / JSON_LINES):
        report.add(record)
    saved = saved_pictures(journey.folder / "pictures/held_out")
    for position, grid in opened(thinned(saved, SLIDER)):
        report.show(position, grid)
    return report
