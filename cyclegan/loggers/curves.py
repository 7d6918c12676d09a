"""Curves as they are looked at: in groups that belong together, raw and smoothed, never too long.

A chart holds the curves that a person reads together; the Visdom page and the report draw the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from cyclegan.logged import Catalogue, Curve

POINTS = 5000  # of all curves of a chart together
SMOOTHING = 0.9  # of the smoothed value that stays when a new one comes


class Change(Enum):
    """What adding a record did to a chart."""

    NOTHING = "nothing"
    APPENDED = "a row was added at the end"
    REDRAWN = "the chart is another one now"


@dataclass(frozen=True)
class Row:
    """One place of a chart: images seen, and raw and smoothed value of each curve there."""

    images: int
    raw: Mapping[str, float]
    smooth: Mapping[str, float]


@dataclass(frozen=True)
class Trace:
    """A line of a chart: what a person calls it, and how it is drawn."""

    label: str
    colour: str
    faint: bool = False
    """a raw line behind its smoothed one"""

    @property
    def shade(self) -> str:
        """The colour with what transparency it has, #rrggbbaa."""
        return f"{self.colour}{'59' if self.faint else 'ff'}"


@dataclass
class Chart:
    """Some curves over images seen. `add` keeps it below POINTS by dropping every second row."""

    title: str
    scale: float = 1.0
    smooths: bool = True
    order: int = 0
    """on a page"""
    labels: dict[str, str] = field(default_factory=dict)
    """of the names that are called otherwise in a legend"""
    names: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    _smoothers: dict[str, "_Smoother"] = field(default_factory=dict)
    _changed: bool = False
    _stride: int = 1
    _seen: int = 0

    def add(self, images: int, values: Mapping[str, float]) -> Change:
        """Take the values of one record that belong here."""
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
        """The lines of the chart: for each name the raw one, and the smoothed one over it."""
        colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(self.names)}
        labels = {name: self.labels.get(name, name) for name in self.names}
        if not self.smooths:
            return [Trace(label, colours[name]) for name, label in labels.items()]
        faint = [Trace(f"{label}, raw", colours[name], True) for name, label in labels.items()]
        return faint + [Trace(label, colours[name]) for name, label in labels.items()]

    def values(self, row: Row) -> list[float]:
        """The values of `row` in the order of the traces, NaN where it has none."""
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
        """Take a record; say what it did to the charts that it touched."""
        groups: dict[str, dict[str, float]] = {}
        for name, value in values.items():
            curve = self._curve(name)
            if curve.logged.drawn:
                groups.setdefault(curve.chart, {})[name] = value
        return {key: self._charts[key].add(images, group) for key, group in groups.items()}

    def _curve(self, name: str) -> Curve:
        """Make room for a value where its name is new."""
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
        """Return the charts' keys in the order that their values ask for, then as they came."""
        return sorted(self._charts, key=lambda key: self._charts[key].order)


class _Smoother:
    """An exponential mean that is not drawn towards zero at its beginning (Adam's correction)."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> float:
        if math.isfinite(value):
            self._sum = SMOOTHING * self._sum + (1 - SMOOTHING) * value
            self._weight = SMOOTHING * self._weight + 1 - SMOOTHING
        return self._sum / self._weight if self._weight else math.nan


_COLOURS = ("#2f6db3", "#d9722c", "#2a9d5c", "#8e5ea2", "#b0413e", "#5b6770")
