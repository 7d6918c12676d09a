"""The report as a logger, and made from a run's files."""

from pathlib import Path

from cyclegan.logged import Catalogue
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers import journey as journeys
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.jsonl import read_records, tell_damaged
from cyclegan.loggers.pictures import opened, saved_pictures, thinned
from cyclegan.loggers.record import Logger, Pictures, Record
from cyclegan.loggers.report.page import SLIDER, Report
from cyclegan.position import Position
from cyclegan.run_folder import RunFolder


class ReportLogger(Logger):
    """Writes `report.html` anew at every checkpoint.

    What it shows is kept at hand and thinned, so a checkpoint costs the same however long the run.
    """

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._path = RunFolder(journey.folder).report
        self._report = _gathered(journey)

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


def write_report(folder: Path, known: Catalogue) -> Path:
    """Write the report of a run from its files, by what is `known` of its values; return its path.

    Raises UserError.
    """
    tell_damaged(RunFolder(folder).losses)
    report = _gathered(journeys.load(folder, known))
    path = RunFolder(folder).report
    report.write(path)
    return path


def _gathered(journey: Journey) -> Report:
    """A report with all that the run's files hold."""
    report = Report(journey)
    for record in read_records(RunFolder(journey.folder).losses):
        report.add(record)
    saved = saved_pictures(RunFolder(journey.folder).pictures / "held_out")
    for position, grid in opened(thinned(saved, SLIDER)):
        report.show(position, grid)
    return report
