"""Charts of logged values: related curves in one chart, raw and smoothed, of bounded length.

The Visdom page and the report draw the same charts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from cyclegan.logged import Catalogue, Curve

POINTS = 5000  # of all curves of a chart together
SMOOTHING = 0.9  # of the smoothed value that stays when a new one comes


class Change(Enum):
    """Effect of a new record on a chart."""

    NOTHING = "nothing"
    APPENDED = "a row was added at the end"
    REDRAWN = "the chart is another one now"


@dataclass(frozen=True)
class Row:
    """One x position of a chart: images seen, and the raw and smoothed value of each curve."""

    images: int
    raw: Mapping[str, float]
    smooth: Mapping[str, float]


@dataclass(frozen=True)
class Trace:
    """One line of a chart: its label and style."""

    label: str
    colour: str
    faint: bool = False
    """a raw line behind its smoothed one"""

    @property
    def shade(self) -> str:
        """Colour with transparency, #rrggbbaa."""
        return f"{self.colour}{'59' if self.faint else 'ff'}"


@dataclass
class Chart:
    """Curves over images seen; `add` drops every second row to stay below POINTS."""

    title: str
    scale: float = 1.0
    smooths: bool = True
    order: int = 0
    """on a page"""
    labels: dict[str, str] = field(default_factory=dict)
    """legend labels that differ from names"""
    names: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    _smoothers: dict[str, "_Smoother"] = field(default_factory=dict)
    _changed: bool = False
    _stride: int = 1
    _seen: int = 0

    def add(self, images: int, values: Mapping[str, float]) -> Change:
        """Add the values of one record that belong to this chart."""
        fresh = [name for name in values if name not in self.names]
        self.names += fresh
        raw = {name: value * self.scale for name, value in values.items()}
        smooth = {
            name: self._smoothers.setdefault(name, _Smoother()).add(value)
            for name, value in raw.items()
        }
        self._changed |= bool(fresh)
        self._seen += 1
        if (self._seen - 1) % self._stride:
            return Change.NOTHING
        self.rows.append(Row(images, raw, smooth))
        if len(self.rows) * 2 * len(self.names) > POINTS:
            # The newest row stays, and the next ones keep the new distance to it.
            self.rows = self.rows[::-2][::-1]
            self._stride *= 2
            self._seen = 1
            return Change.REDRAWN
        changed, self._changed = self._changed, False
        return Change.REDRAWN if changed else Change.APPENDED

    def traces(self) -> list[Trace]:
        """Return the lines of the chart: the raw lines, then the smoothed lines over them."""
        colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(self.names)}
        labels = {name: self.labels.get(name, name) for name in self.names}
        if not self.smooths:
            return [Trace(label, colours[name]) for name, label in labels.items()]
        faint = [Trace(f"{label}, raw", colours[name], True) for name, label in labels.items()]
        return faint + [Trace(label, colours[name]) for name, label in labels.items()]

    def values(self, row: Row) -> list[float]:
        """Return the values of `row` in the order of the traces, NaN where a value is missing."""
        raw = [row.raw.get(name, math.nan) for name in self.names]
        smooth = [row.smooth.get(name, math.nan) for name in self.names]
        # Four decimals are more than a page shows; longer ones only make it slow.
        return [round(value, 4) for value in (raw + smooth if self.smooths else raw)]


class Charts:
    """All charts of a run, in the order in which they are shown."""

    def __init__(self, known: Catalogue) -> None:
        self._known = known
        self._curves: dict[str, Curve] = {}
        self._charts: dict[str, Chart] = {}

    def add(self, images: int, values: Mapping[str, float]) -> dict[str, Change]:
        """Add a record; return the change of each chart that it affects."""
        groups: dict[str, dict[str, float]] = {}
        for name, value in values.items():
            curve = self._curve(name)
            if curve.logged.drawn:
                groups.setdefault(curve.chart, {})[name] = value
        return {key: self._charts[key].add(images, group) for key, group in groups.items()}

    def _curve(self, name: str) -> Curve:
        """Return the curve of a value, with a chart for it if the name is new."""
        if name not in self._curves:
            curve = self._curves[name] = Curve.of(name, self._known)
            leader = curve.leader
            if curve.logged.drawn:
                new = Chart(curve.title, leader.scale, leader.smooth, leader.order)
                self._charts.setdefault(curve.chart, new).labels[name] = curve.label
        return self._curves[name]

    def __getitem__(self, key: str) -> Chart:
        return self._charts[key]

    def in_order(self) -> list[str]:
        """Return the charts' keys sorted by their values' order, then by first appearance."""
        return sorted(self._charts, key=lambda key: self._charts[key].order)


class _Smoother:
    """Exponential moving average without bias towards zero at the start (Adam's correction)."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> float:
        if math.isfinite(value):
            self._sum = SMOOTHING * self._sum + (1 - SMOOTHING) * value
            self._weight = SMOOTHING * self._weight + 1 - SMOOTHING
        return self._sum / self._weight if self._weight else math.nan


_COLOURS = ("#2f6db3", "#d9722c", "#2a9d5c", "#8e5ea2", "#b0413e", "#5b6770")
