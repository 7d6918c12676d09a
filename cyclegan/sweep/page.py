"""The result of a sweep: what each trial has come to, and the page that shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from cyclegan.atomic import atomic_write
from cyclegan.comparison import CompareSettings
from cyclegan.comparison.compare import converted
from cyclegan.metrics.distances import Progress
from cyclegan.run import FolderDirection
from cyclegan.study.figures import Estimate, Half, TurnEnd, chosen, ended_early
from cyclegan.study.turns import place
from cyclegan.sweep import SweepSettings
from cyclegan.sweep.space import Value
from cyclegan.training.best import merit


@dataclass(frozen=True)
class TrialResult:
    """What a trial that ended has come to."""

    name: str
    values: Mapping[str, Value]
    """of what varies"""
    run: Sequence[TurnEnd]
    """its measurements, one after each part"""
    least_ssim: float
    pruned: bool
    why: str | None
    """why its training failed"""

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end."""
        return not self.pruned and self.why is None

    @property
    def turn(self) -> int:
        """Number of the part, from 1, whose checkpoint is best on the choosing half."""
        return 1 + chosen(self.run, "choosing", self.least_ssim)

    def quality(self, half: Half) -> Progress:
        """Return the merit of its best checkpoint on a half."""
        return merit(self.run[self.turn - 1].half(half).values(), self.least_ssim)

    @property
    def curve(self) -> list[float]:
        """Merit on the choosing half after each part."""
        return [merit(end.choosing.values(), self.least_ssim).value for end in self.run]

    @property
    def outcome(self) -> str:
        """The result in words."""
        if self.why is not None:
            return f"failed: {self.why}"
        return f"{'ended early' if self.pruned else 'quality'} {shown(self.quality('choosing'))}"

    def told(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"name": self.name, "values": dict(self.values), "curve": self.curve} | {
            "pruned": self.pruned,
            "why": self.why,
        }


def best_of(results: Sequence[TrialResult]) -> TrialResult | None:
    """Return the best of the trials that were trained to their end."""
    finished = [one for one in results if one.finished]
    return max(finished, key=lambda one: one.quality("choosing").value, default=None)


def words(values: Mapping[str, Value]) -> str:
    """Return values as flags of a command line would say them."""
    return " ".join(f"{name} {shown_value(value)}" for name, value in values.items())


def shown_value(value: Value) -> str:
    """Return a value as it is typed, in few digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shown(quality: Progress) -> str:
    """Return a quality with its error."""
    return str(Estimate(quality.value, quality.error))


def write_page(
    results: Sequence[TrialResult], best: TrialResult, settings: SweepSettings, confirm: str
) -> Path:
    """Write the page; return its path. Raises UserError."""
    from plotly.offline import get_plotlyjs

    page = _TEMPLATE.get_template("page.html.j2").render(
        settings=settings,
        rows=[_row(one, one is best) for one in sorted(results, key=_rank)],
        names=list(best.values),
        best=best,
        quality={half: shown(best.quality(half)) for half in ("choosing", "reporting")},
        confirm=confirm,
        early=list(ended_early({best.name: [best.run]}, settings.minutes)),
        charts=[_curves(results), *(_slice(results, name) for name in best.values)],
        pictures=_pictures(best, settings),
        plotly=get_plotlyjs(),
    )
    path = settings.output / "sweep.html"
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="replace")
    return path


_TEMPLATE = Environment(loader=PackageLoader("cyclegan.sweep", ""), autoescape=True)


def _rank(one: TrialResult) -> tuple[bool, float]:
    """Return the order on the page: the best first, those not trained to their end last."""
    return not one.finished, -max(one.curve, default=float("-inf"))


def _row(one: TrialResult, is_best: bool) -> dict[str, Any]:
    last = one.run[-1] if one.run else None
    return {
        "name": one.name,
        "values": [shown_value(value) for value in one.values.values()],
        "outcome": one.outcome,
        "minutes": f"{last.seconds / 60:.2g}" if last else "",
        "images": f"{last.images:,}" if last else "",
        "is_best": is_best,
    }


def _curves(results: Sequence[TrialResult]) -> dict[str, Any]:
    lines = [
        {
            "x": [end.seconds / 60 for end in one.run],
            "y": one.curve,
            "name": one.name,
            "mode": "lines+markers",
            "line": {"dash": "dot" if one.pruned else "solid"},
        }
        for one in results
    ]
    return {"title": "quality after so many minutes", "x": "minutes", "data": lines}


def _slice(results: Sequence[TrialResult], name: str) -> dict[str, Any]:
    ended = [one for one in results if one.finished]
    points = {
        "x": [one.values[name] for one in ended],
        "y": [one.quality("choosing").value for one in ended],
        "error_y": {"array": [one.quality("choosing").error for one in ended]},
        "text": [one.name for one in ended],
        "mode": "markers",
    }
    return {"title": f"quality by {name}", "x": name, "data": [points]}


def _pictures(best: TrialResult, settings: SweepSettings) -> dict[str, list[dict[str, object]]]:
    """Return what the best trial makes of pictures that chose nothing, by direction."""
    ways: dict[str, FolderDirection] = {"A → B": "AtoB", "B → A": "BtoA"}
    checkpoint = place(settings.output / "runs" / best.name, best.turn)
    return {
        words: list(
            converted(
                CompareSettings(
                    runs=(str(checkpoint),),
                    dataroot=settings.output / "reporting",
                    images=settings.images,
                    size=settings.size,
                    direction=way,
                    device=settings.device,
                )
            )
        )
        for words, way in ways.items()
    }
