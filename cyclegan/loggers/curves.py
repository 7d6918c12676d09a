"""Curves as they are looked at: in groups that belong together, raw and smoothed, never too long.

A chart holds the curves that a person reads together; the Visdom page and the report draw the same.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

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
        if not self.smooths:
            return [Trace(label(name), colours[name]) for name in self.names]
        faint = [Trace(f"{label(name)}, raw", colours[name], faint=True) for name in self.names]
        return faint + [Trace(label(name), colours[name]) for name in self.names]

    def values(self, row: Row) -> list[float]:
        """The values of `row` in the order of the traces, NaN where it has none."""
        raw = [row.raw.get(name, math.nan) for name in self.names]
        smooth = [row.smooth.get(name, math.nan) for name in self.names]
        # Four decimals are more than a page shows; longer ones only make it slow.
        return [round(value, 4) for value in (raw + smooth if self.smooths else raw)]


class Charts:
    """All charts of a run, in the order in which they are shown."""

    def __init__(self) -> None:
        self._charts: dict[str, Chart] = {}

    def add(self, images: int, values: Mapping[str, float]) -> dict[str, Change]:
        """Take a record; say what it did to the charts that it touched."""
        changes = {}
        for key, names in _grouped(values).items():
            if key not in self._charts:
                self._charts[key] = Chart(_title(key), _SCALES.get(key, 1.0), key not in _PLAIN)
            changes[key] = self._charts[key].add(images, {name: values[name] for name in names})
        return changes

    def __getitem__(self, key: str) -> Chart:
        return self._charts[key]

    def in_order(self) -> list[str]:
        """The charts' keys: the losses of every run first, the others as they came."""
        first = [key for key in _FIRST if key in self._charts]
        return first + [key for key in self._charts if key not in _FIRST]


def label(name: str) -> str:
    """A curve's name as a person reads it."""
    return _LABELS.get(name) or name.replace("_a_to_b", " A→B").replace("_b_to_a", " B→A").replace(
        "_", " "
    )


class _Smoother:
    """An exponential mean that is not drawn towards zero at its beginning (Adam's correction)."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> float:
        if math.isfinite(value):
            self._sum = SMOOTHING * self._sum + (1 - SMOOTHING) * value
            self._weight = SMOOTHING * self._weight + 1 - SMOOTHING
        return self._sum / self._weight if self._weight else math.nan


_LABELS = {
    "adversarial_a_to_b": "generator A→B",
    "discriminator_b": "discriminator B",
    "adversarial_b_to_a": "generator B→A",
    "discriminator_a": "discriminator A",
    "quality_best": "best.pt",
}

#: Charts that hold what does not share a stem, by the names in them.
_GROUPS = {
    "adversarial_a_to_b": "adversarial_a_to_b",
    "discriminator_b": "adversarial_a_to_b",
    "adversarial_b_to_a": "adversarial_b_to_a",
    "discriminator_a": "adversarial_b_to_a",
    "kid_best": "kid",
    "quality_best": "progress",
}

_FIRST = ("adversarial_a_to_b", "adversarial_b_to_a", "cycle", "identity")
_TITLES = {
    "adversarial_a_to_b": "adversarial A→B",
    "adversarial_b_to_a": "adversarial B→A",
    "cycle": "cycle consistency",
    "progress": "progress of held-out conversions (1: like the target, 0: nothing done)",
    "ssim": "content kept by held-out conversions (SSIM of luminance)",
    "kid": "KID of held-out conversions (lower is better)",
    "diversity": "diversity of held-out fakes (0: all alike)",
    "light_agreement": "light kept (below 0: inverted)",
    "learning_rate": "learning rate, millionths",
    "images_per_second": "images per second",
    "waiting_for_images": "waiting for images, % of the time",
    "memory_gib": "memory, GiB",
}
_PLAIN = (
    *("progress", "ssim", "kid", "learning_rate", "memory_gib", "diversity", "light_agreement"),
)
#: How sure values are: health looks at it, a curve of its own says nothing.
_NO_CURVES = ("quality", "quality_error", "kid_error", "progress_error")
_COLOURS = ("#2f6db3", "#d9722c", "#2a9d5c", "#8e5ea2", "#b0413e", "#5b6770")
_SCALES = {"learning_rate": 1e6, "waiting_for_images": 100.0}


def _grouped(values: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in values:
        if name.startswith(_NO_CURVES) and name not in _GROUPS:
            continue
        stem = name.removesuffix("_a_to_b").removesuffix("_b_to_a")
        groups.setdefault(_GROUPS.get(name, stem), []).append(name)
    return groups


def _title(key: str) -> str:
    return _TITLES.get(key, label(key))
