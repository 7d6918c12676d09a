"""The report of a run: its contents, its writing as one HTML page, and its logger."""

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from PIL import Image

from cyclegan import images
from cyclegan.atomic import atomic_write
from cyclegan.logged import Catalogue
from cyclegan.loggers import LoggerSettings, evaluations
from cyclegan.loggers.curves import Chart, Charts, Trace
from cyclegan.loggers.grid import cell, grid_rows, opened, saved_pictures, thinned
from cyclegan.loggers.health import Recent, health_panel, progress_panel, table_panel
from cyclegan.loggers.jsonl import read_records, tell_damaged
from cyclegan.loggers.logger import Logger, Pictures, Record, RunInfo, load_run_info
from cyclegan.run import Position, RunFolder

SLIDER = 24  # grids behind the slider; of twice as many every second is dropped
WIDEST = 1200  # pixels of a grid in the report
QUALITY = 88  # of JPEG


class Report:
    """A run as one page; what is logged is thinned to what a page can show."""

    def __init__(self, run_info: RunInfo) -> None:
        self._run_info = run_info
        self._charts = Charts(run_info.known)
        self._recent = Recent(run_info.guessing, planned=run_info.images, known=run_info.known)
        self._reached = run_info.start
        self._seconds = 0.0
        self._grids: list[dict[str, str]] = []
        self._latest: Image.Image | None = None

    def add(self, record: Record) -> None:
        """Add a record; its values that are not finite are left out of the curves."""
        self._recent.add(record)
        self._reached, self._seconds = record.position, record.seconds
        self._charts.add(record.position.images, record.values)

    def show(self, position: Position, grid: Image.Image) -> None:
        """Add a grid of the held-out images."""
        smaller = grid.copy()
        smaller.thumbnail((WIDEST, 4 * WIDEST))
        self._grids.append({"src": images.data_url(smaller, QUALITY), "caption": str(position)})
        if len(self._grids) >= 2 * SLIDER:
            self._grids = self._grids[::-2][::-1]
        self._latest = grid

    def write(self, path: Path, reached: Position | None = None) -> None:
        """Write the page atomically; `reached` may lie after the newest record."""
        self._reached = reached or self._reached
        from plotly.offline import get_plotlyjs

        evaluated = evaluations.read(self._run_info.folder)
        charts = [self._charts[key] for key in self._charts.in_order()]
        page = _TEMPLATES.get_template("report.html.j2").render(
            name=self._run_info.name,
            plotly=get_plotlyjs(),
            health=health_panel(self._recent),
            progress=progress_panel(
                self._run_info, self._reached, self._seconds, self._recent.speed()
            ),
            evaluations=evaluations.panel(evaluated),
            settings=table_panel(self._run_info.settings),
            environment=table_panel(self._run_info.environment),
            comparisons=self._comparisons(),
            grids=self._grids,
            charts=[_drawn(chart) for chart in evaluations.charts(evaluated) + charts],
        )
        # The training and the command may write at the same time.
        with atomic_write(path, shared=True) as unfinished:
            unfinished.write_text(page, encoding="utf-8")

    def _comparisons(self) -> list[dict[str, str]]:
        """Return the current input and fake of every held-out image."""
        if self._latest is None:
            return []
        rows, side = grid_rows(self._latest, self._run_info.side), self._run_info.side
        return [
            {
                "direction": "A → B" if row < rows / 2 else "B → A",
                "before": images.data_url(cell(self._latest, side, row, 0), QUALITY),
                "after": images.data_url(cell(self._latest, side, row, 1), QUALITY),
            }
            for row in range(rows)
        ]


_TEMPLATES = Environment(loader=PackageLoader("cyclegan.loggers", ""), autoescape=True)


def _drawn(chart: Chart) -> dict[str, Any]:
    """Return a chart as Plotly takes it."""
    columns = zip(*(chart.values(row) for row in chart.rows), strict=True)
    x = [row.images for row in chart.rows]
    data = [
        _line(trace, x, column, len(chart.names) == 1)
        for trace, column in zip(chart.traces(), columns, strict=True)
    ]
    return {"title": chart.title, "data": data}


def _line(trace: Trace, x: list[int], y: tuple[float, ...], alone: bool) -> dict[str, Any]:
    return {
        "x": x,
        "y": [value if math.isfinite(value) else None for value in y],
        "name": trace.label,
        "line": {"color": trace.shade, "width": 1 if trace.faint else 2},
        "showlegend": not (trace.faint or alone),
        "hoverinfo": "skip" if trace.faint else "all",
        "connectgaps": True,
        "mode": "lines" if len(x) > 1 else "markers",
    }


class ReportLogger(Logger):
    """Logger that rewrites `report.html` at every checkpoint.

    Its contents are kept in memory and thinned, so a checkpoint costs the same however long the
    run.
    """

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._path = RunFolder(run_info.folder).report
        self._report = _gathered(run_info)

    def record(self, record: Record) -> None:
        self._report.add(record)

    def pictures(self, position: Position, pictures: Pictures) -> None:
        if "held_out" in pictures:
            self._report.show(position, pictures["held_out"])

    def saved(self, position: Position) -> None:
        self._report.write(self._path, position)

    def close(self) -> None:
        """Write the report again, to show what came after the last checkpoint (why a run ended)."""
        self._report.write(self._path)


def write_report(folder: Path, known: Catalogue) -> Path:
    """Write the report of a run from its files; return its path.

    `known` is the catalogue of its values. Raises UserError.
    """
    tell_damaged(RunFolder(folder).losses)
    report = _gathered(load_run_info(folder, known))
    path = RunFolder(folder).report
    report.write(path)
    return path


def _gathered(run_info: RunInfo) -> Report:
    """Return a report with everything in the run's files."""
    report = Report(run_info)
    for record in read_records(RunFolder(run_info.folder).losses):
        report.add(record)
    saved = saved_pictures(RunFolder(run_info.folder).pictures / "held_out")
    for position, grid in opened(thinned(saved, SLIDER)):
        report.show(position, grid)
    return report
