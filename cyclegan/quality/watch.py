"""Which checkpoint is the best so far."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from cyclegan.losses.settings import Direction
from cyclegan.metrics.kid import Kid, Progress
from cyclegan.position import Position
from cyclegan.quality.settings import QualitySettings

SHARE = 0.03  # of the time that measuring may take


@dataclass(frozen=True)
class Score:
    """Figures of one direction."""

    kid: Kid
    progress: Progress
    ssim: float
    """of the converted pictures' luminance to the inputs', the mean; 1 keeps everything"""


Measure = Callable[[], Mapping[Direction, Score]]

#: What counts for one whole progress: so much less SSIM than asked for.
LACKING = 0.1


def merit(scores: Collection[Score], least_ssim: float) -> Progress:
    """By how much a checkpoint is preferred: the mean progress of its directions, and its error.

    What the lowest SSIM lacks to `least_ssim` counts ten times against it: pictures that are no
    longer recognised are no progress, however much they look like the target.
    """
    value = fmean(score.progress.value for score in scores)
    error = math.hypot(*(score.progress.error for score in scores)) / len(scores)
    lacking = max(0.0, least_ssim - min(score.ssim for score in scores))
    return Progress(value - lacking / LACKING, error)


@dataclass(frozen=True)
class Best:
    """The best measurement."""

    merit: float
    images: int
    """that the run had seen"""
    since: int = 0
    """measurements after it"""

    def table(self) -> dict[str, Any]:
        """As plain builtins."""
        return asdict(self)


@dataclass(frozen=True)
class Look:
    """One measurement."""

    values: dict[str, float]
    """to be logged"""
    better: bool
    """whether it is the best so far"""


class QualityWatch:
    """Measures where it is due, and remembers the best.

    A measurement is the best when its merit less its standard error lies above the best one's:
    among many noisy values the highest alone would be luck.
    """

    def __init__(
        self,
        settings: QualitySettings,
        measure: Measure,
        best: Best | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.best = best
        self._settings = settings
        self._measure = measure
        self._clock = clock
        self._began = clock()
        self._spent = self._last = 0.0
        self._waits = False

    def due(self, before: Position, position: Position) -> bool:
        """Whether it is time, and time enough: a measurement that would take too long waits."""
        self._waits |= position.passed(before, self._settings.eval_freq)
        allowed = SHARE * (self._clock() - self._began)
        return self._waits and (self._spent + self._last <= allowed or not self._spent)

    def look(self, position: Position) -> Look:
        """Measure now."""
        begun = self._clock()
        scores = self._measure()
        self._last = self._clock() - begun
        self._spent += self._last
        self._waits = False
        now = merit(scores.values(), self._settings.min_ssim)
        better = self.best is None or now.value - now.error > self.best.merit
        if self.best is None or better:
            self.best = Best(now.value, position.images)
        else:
            self.best = Best(self.best.merit, self.best.images, self.best.since + 1)
        whole = {"quality": now.value, "quality_error": now.error, "quality_best": self.best.merit}
        return Look(_named(scores) | whole, better)

    @property
    def gives_up(self) -> bool:
        """Whether nothing got better for as long as was asked for."""
        patience = self._settings.patience
        return bool(patience) and self.best is not None and self.best.since >= patience


def _named(scores: Mapping[Direction, Score]) -> dict[str, float]:
    """As they are logged."""
    found = {}
    for direction, score in scores.items():
        found[f"progress_{direction}"] = score.progress.value
        found[f"progress_error_{direction}"] = score.progress.error
        found[f"ssim_{direction}"] = score.ssim
        found[f"kid_{direction}"] = score.kid.value
        found[f"kid_error_{direction}"] = score.kid.error
    return found
