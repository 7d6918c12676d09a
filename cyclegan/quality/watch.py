"""Which checkpoint is the best so far."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from cyclegan.losses.settings import Direction
from cyclegan.metrics.kid import Kid
from cyclegan.position import Position
from cyclegan.quality.settings import QualitySettings

SHARE = 0.03  # of the time that measuring may take

Score = Callable[[], Mapping[Direction, Kid]]


@dataclass(frozen=True)
class Best:
    """The best measurement: KID, the mean of both directions."""

    kid: float
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

    A measurement is the best when its KID plus its standard error lies below the best one's KID:
    among many noisy values the lowest alone would be luck.
    """

    def __init__(
        self,
        settings: QualitySettings,
        score: Score,
        best: Best | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.best = best
        self._settings = settings
        self._score = score
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
        kids = self._score()
        self._last = self._clock() - begun
        self._spent += self._last
        self._waits = False
        value = fmean(kid.value for kid in kids.values())
        error = math.hypot(*(kid.error for kid in kids.values())) / len(kids)
        better = self.best is None or value + error < self.best.kid
        if self.best is None or better:
            self.best = Best(value, position.images)
        else:
            self.best = Best(self.best.kid, self.best.images, self.best.since + 1)
        named = {f"kid_{direction}": kid.value for direction, kid in kids.items()}
        return Look(named | {"kid_error": error, "kid_best": self.best.kid}, better)

    @property
    def gives_up(self) -> bool:
        """Whether nothing got better for as long as was asked for."""
        patience = self._settings.patience
        return bool(patience) and self.best is not None and self.best.since >= patience
