"""The windows of one run on a Visdom page."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cyclegan import images
from cyclegan.loggers import evaluations
from cyclegan.loggers.curves import Change, Chart, Charts, Row, Trace
from cyclegan.loggers.grid import opened, thinned
from cyclegan.loggers.health import Recent, health_panel, progress_panel, settings_panel
from cyclegan.loggers.logger import Pictures, Record, RunInfo
from cyclegan.run import Position

QUALITY = 90  # of JPEG, for pictures that only a browser shows
WIDEST = 1600  # pixels of a grid that is sent
HISTORY = 40  # pictures behind the slider; twice as many are thinned to these
SavedGrids = Mapping[str, Sequence[tuple[Position, Path]]]

# Pixels. A page of 1280 has rows of two panels, of the pictures with the settings, and of three
# charts; the order of the windows is the order in which they are made.
PANEL = {"width": 605, "height": 190}


@dataclass(frozen=True)
class GridWindow:
    """The window of one kind of grids; with a `history`, earlier grids are behind a slider."""

    title: str
    width: int
    height: int = 720
    history: bool = False

    def opts(self, caption: str) -> dict[str, Any]:
        """Return Visdom's options for the window of a grid with this caption."""
        return {
            "title": self.title if self.history else f"{self.title}: {caption}",
            # A caption makes a single picture's window higher than its neighbours.
            "caption": caption if self.history else None,
            "width": self.width,
            "height": self.height,
        }


GRIDS = {
    "held_out": GridWindow("held-out images over training", 605, history=True),
    "batch": GridWindow("current batch", 300),
}
SIDE_PANEL = {"width": 300, "height": 720}
CHART = {"width": 400, "height": 300}


class TakenError(Exception):
    """An environment that another training draws into."""


class Page:
    """The windows of a run, drawn once and then extended.

    Records and grids must come in order; those already shown are skipped.
    """

    def __init__(self, client: Any, run_info: RunInfo) -> None:
        self._client = client
        self._run_info = run_info
        self._charts = Charts(run_info.known)
        self._recent = Recent(run_info.guessing, planned=run_info.images, known=run_info.known)
        self._newest = -1
        self._reached = run_info.start
        self._seconds = 0.0
        self._shown: dict[str, list[int]] = {name: [] for name in GRIDS}
        self._health = ""
        self._marker = ""
        where = hashlib.sha256(bytes(run_info.folder.resolve())).hexdigest()
        self._signature = f"<!-- the run {where} -->"

    def redraw(self, records: Iterable[Record], saved: SavedGrids) -> None:
        """Replace every window by what the run has logged so far."""
        for record in records:
            self._note(record)
        self._text("health", "health", PANEL, health_panel(self._recent))
        self._progress()
        for kind in GRIDS:
            self._replace_pictures(kind, saved.get(kind, ()))
            if kind == "batch":
                self._text("settings", "settings", SIDE_PANEL, settings_panel(self._run_info))
        for key in self._charts.in_order():
            self._draw(key)
        self._marker = self._fingerprint()

    def clear_others(self) -> None:
        """Close windows of an earlier run of the same name that this run does not have."""
        own = {"health", "progress", "settings", *GRIDS, *self._charts.in_order()}
        for win in json.loads(self._client.get_window_data(None)):
            if win not in own and not win.startswith(evaluations.WINDOW):
                self._client.close(win)

    def intact(self) -> bool:
        """Return whether the server still has what was sent last; a restarted one does not.

        Raises TakenError if another training draws into the same environment.
        """
        return self._fingerprint() == self._marker

    def add(self, records: Sequence[Record]) -> None:
        """Add new records to the windows."""
        fresh = [record for record in records if record.position.images > self._newest]
        if not fresh:
            return
        touched: dict[str, list[Change]] = {}
        for record in fresh:
            for key, change in self._note(record).items():
                touched.setdefault(key, []).append(change)
        for key in self._charts.in_order():
            if key in touched:
                self._update(key, touched[key])
        health = health_panel(self._recent)
        if health != self._health:
            self._health = health
            self._text("health", "health", PANEL, health)
        self._progress()
        self._marker = self._fingerprint()

    def show(self, position: Position, pictures: Pictures) -> None:
        """Add grids behind the sliders; the batch's grid is replaced."""
        for kind, grid in pictures.items():
            shown = self._shown[kind]
            if shown and shown[-1] >= position.images:
                continue
            history = GRIDS[kind].history
            if history and not shown:
                self._make_history(kind, [], grid, position)
            else:
                self._picture(kind, grid, str(position), keep=history)
            shown.append(position.images)

    def crowded(self) -> bool:
        """Return whether there are more pictures behind a slider than a page should hold."""
        return len(self._shown["held_out"]) > 2 * HISTORY

    def save(self, reached: Position) -> None:
        """Let the server save the environment to its disk, after a checkpoint at `reached`."""
        self._reached = reached
        self._progress()
        self._marker = self._fingerprint()
        self._client.save([self._client.env])

    def _note(self, record: Record) -> dict[str, Change]:
        self._recent.add(record)
        self._newest = record.position.images
        self._reached, self._seconds = record.position, record.seconds
        return self._charts.add(record.position.images, record.values)

    def _text(self, win: str, title: str, size: Mapping[str, int], html: str) -> None:
        framed = f"<div style='padding:8px 12px;color:#222'>{html}</div>"
        self._client.text(framed, win=win, opts={"title": title, **size})

    def _progress(self) -> None:
        speed = self._recent.speed()
        html = progress_panel(self._run_info, self._reached, self._seconds, speed)
        title = f"progress of {self._run_info.name}"
        self._text("progress", title, PANEL, html + self._signature)

    def _fingerprint(self) -> str:
        """Return the server's ID of the newest progress window, which changes with every update."""
        if not self._client.win_exists("progress"):
            return ""
        held = json.loads(self._client.get_window_data("progress"))
        if self._signature not in held["content"]:
            raise TakenError
        return str(held["contentID"])

    def _update(self, key: str, changes: Sequence[Change]) -> None:
        """Append the new rows, or redraw the chart if it changed otherwise."""
        if Change.REDRAWN in changes or not self._client.win_exists(key):
            self._draw(key)
            return
        count = changes.count(Change.APPENDED)
        if count:
            chart = self._charts[key]
            draw(self._client, key, chart, chart.rows[-count:], update="append")

    def _draw(self, key: str) -> None:
        chart = self._charts[key]
        draw(self._client, key, chart, chart.rows)

    def _replace_pictures(self, kind: str, saved: Sequence[tuple[Position, Path]]) -> None:
        """Show the grids so far, thinned, or a placeholder while there are none."""
        grids = list(opened(thinned(saved, HISTORY if GRIDS[kind].history else 1)))
        self._shown[kind] = [position.images for position, _ in grids]
        if not grids:
            self._picture(kind, _coming(kind), "none yet", keep=False)
            return
        *earlier, (position, newest) = grids
        if GRIDS[kind].history:
            contents = [_content(grid, str(at)) for at, grid in earlier]
            self._make_history(kind, contents, newest, position)
        else:
            self._picture(kind, newest, str(position), keep=False)

    def _make_history(
        self, kind: str, earlier: Sequence[dict[str, str]], grid: Image.Image, position: Position
    ) -> None:
        """Replace the window of this kind by one with a slider.

        Visdom can only start such a window at the end of the page. So a window of one picture is
        made in its place, the earlier pictures are set on the server, and the newest is sent once
        more as an addition, which open browsers are notified of.
        """
        self._picture(kind, grid, str(position), keep=False)
        pane = json.loads(self._client.get_window_data(kind))
        pane |= {"type": "image_history", "content": list(earlier), "show_slider": True}
        pane["selected"] = max(0, len(earlier) - 1)
        self._client.set_window_data(json.dumps(pane), win=kind)
        self._picture(kind, grid, str(position), keep=True)

    def _picture(self, kind: str, grid: Image.Image, caption: str, *, keep: bool) -> None:
        """Show a grid alone, or add it behind the slider."""
        self._client.image(
            np.asarray(_small(grid).convert("RGB")).transpose(2, 0, 1),
            win=kind,
            opts={
                "store_history": keep,
                "jpgquality": QUALITY,
                **GRIDS[kind].opts(caption),
            },
        )


def draw(
    client: Any, win: str, chart: Chart, rows: Sequence[Row], update: str | None = None
) -> None:
    """Draw a chart's window, or append rows to it."""
    x = np.array([[row.images] * len(chart.traces()) for row in rows])
    y = np.array([chart.values(row) for row in rows])
    y[~np.isfinite(y)] = np.nan
    opts = {"legend": [trace.label for trace in chart.traces()]}
    if update is None:
        opts |= _looks(chart)
    client.line(Y=y, X=x, win=win, update=update, opts=opts)


def _content(grid: Image.Image, caption: str) -> dict[str, str]:
    """Return a picture as the server stores it."""
    return {"src": images.data_url(_small(grid), QUALITY), "caption": caption}


def _small(grid: Image.Image) -> Image.Image:
    smaller = grid.copy()
    smaller.thumbnail((WIDEST, WIDEST))
    return smaller


def _coming(kind: str) -> Image.Image:
    """Draw the placeholder for the time before the first grid."""
    size = (GRIDS[kind].width, GRIDS[kind].height)
    drawing = Image.new("RGB", size, "#f2f2f2")
    middle = (size[0] / 2, size[1] / 2)
    text = "pictures come every\n--display_freq images"
    font = ImageFont.load_default(16)
    ImageDraw.Draw(drawing).text(middle, text, "#777", font, anchor="mm", align="center")
    return drawing


def _looks(chart: Chart) -> dict[str, Any]:
    """Return Visdom's options for a chart; gaps between rarely logged values are connected."""
    return {
        "title": chart.title,
        "xlabel": "images",
        "showlegend": len(chart.names) > 1,
        **CHART,
        "marginleft": 50,
        "marginright": 12,
        "margintop": 64,
        "marginbottom": 40,
        "layoutopts": {
            "plotly": {
                "title": {"text": chart.title, "font": {"size": 15}, "y": 0.95},
                "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
            }
        },
        "traceopts": {"plotly": {trace.label: _line_looks(trace) for trace in chart.traces()}},
    }


def _line_looks(trace: Trace) -> dict[str, Any]:
    line = {"color": trace.shade, "width": 1 if trace.faint else 2}
    return {"line": line, "showlegend": not trace.faint, "connectgaps": True}
