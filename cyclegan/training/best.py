"""Quality while training: the merit of a checkpoint, and the best one so far."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from statistics import fmean

from cyclegan.checkpoint import BestRow
from cyclegan.logged import Logged
from cyclegan.losses import Direction
from cyclegan.metrics.distances import Kid, Progress
from cyclegan.run import Position
from cyclegan.training import QualitySettings

SHARE = 0.03  # of the time that measuring may take

PROGRESS = Logged(
    "progress",
    title="progress of held-out conversions (1: like the target, 0: nothing done)",
    smooth=False,
)
SSIM = Logged(
    "ssim", title="content kept by held-out conversions (SSIM of luminance)", smooth=False
)
KID = Logged("kid", title="KID of held-out conversions (lower is better)", smooth=False)
MERIT = Logged("quality", drawn=False, brief=False)
PROGRESS_ERROR, KID_ERROR, MERIT_ERROR = (
    Logged(f"{name}_error", drawn=False, brief=False) for name in ("progress", "kid", "quality")
)
BEST_MERIT = Logged("quality_best", "best.pt", group="progress", brief=False)
KID_BEST = Logged("kid_best", group="kid")  # of earlier versions, which knew no progress
QUALITY = (PROGRESS, PROGRESS_ERROR, SSIM, KID, KID_ERROR, MERIT, MERIT_ERROR, BEST_MERIT, KID_BEST)


@dataclass(frozen=True)
class Score:
    """Quality figures of one direction."""

    kid: Kid
    progress: Progress
    ssim: float
    """mean luminance SSIM of outputs to inputs; 1 keeps everything"""


Measure = Callable[[], Mapping[Direction, Score]]

#: What counts for one whole progress: so much less SSIM than asked for.
LACKING = 0.1


def merit(scores: Collection[Score], least_ssim: float) -> Progress:
    """Return the merit of a checkpoint: the mean progress of its directions, and its error.

    Where the lowest SSIM falls short of `least_ssim`, ten times the shortfall is subtracted:
    pictures that are no longer recognised are no progress, however much they look like the target.
    """
    value = fmean(score.progress.value for score in scores)
    error = math.hypot(*(score.progress.error for score in scores)) / len(scores)
    lacking = max(0.0, least_ssim - min(score.ssim for score in scores))
    return Progress(value - lacking / LACKING, error)


@dataclass(frozen=True)
class Best:
    """The best measurement so far."""

    merit: float
    images: int
    """seen by the run"""
    since: int = 0
    """measurements after it"""

    def row(self) -> BestRow:
        """Return the measurement as checkpoints hold it."""
        return BestRow(merit=self.merit, images=self.images, since=self.since)

    @classmethod
    def of_row(cls, row: BestRow | None, unconverted: float) -> "Best | None":
        """Read the measurement of a checkpoint; None where nothing was measured.

        Where only its KID is known, progress follows from that and the KID of the `unconverted`
        pictures.
        """
        if row is None:
            return None
        merit = row["merit"] if "merit" in row else 1 - row["kid"] / max(unconverted, 1e-9)
        return cls(merit, row["images"], row.get("since", 0))


@dataclass(frozen=True)
class Measurement:
    """One measurement of quality."""

    values: dict[str, float]
    """to be logged"""
    better: bool
    """whether it is the best so far"""


class QualityWatch:
    """Watch that measures quality when it is due, and remembers the best.

    A measurement is the best when its merit less its standard error lies above the best one's:
    among many noisy values the highest alone would be luck.
    """

    def __init__(
        self,
        settings: QualitySettings,
        measure: Measure,
        best: Best | None = None,
        clock: Callable[[], float] = time.monotonic,
        begins: int = 0,
    ) -> None:
        """Measure nothing before the run has seen more than `begins` images."""
        self.best = best
        self._begins = begins
        self._settings = settings
        self._measure = measure
        self._clock = clock
        self._began = clock()
        self._spent = self._last = 0.0
        self._waits = False

    def due(self, before: Position, position: Position) -> bool:
        """Return whether to measure now; a measurement that would take too long waits."""
        if position.images <= self._begins:
            return False
        self._waits |= position.passed(before, self._settings.eval_freq)
        allowed = SHARE * (self._clock() - self._began)
        return self._waits and (self._spent + self._last <= allowed or not self._spent)

    def look(self, position: Position) -> Measurement:
        """Measure now, and update the best."""
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
        whole = {
            MERIT.name: now.value,
            MERIT_ERROR.name: now.error,
            BEST_MERIT.name: self.best.merit,
        }
        return Measurement(_named(scores) | whole, better)

    @property
    def gives_up(self) -> bool:
        """True where nothing got better for as long as the patience allows."""
        patience = self._settings.patience
        return bool(patience) and self.best is not None and self.best.since >= patience


def _named(scores: Mapping[Direction, Score]) -> dict[str, float]:
    """Return the scores by the names under which they are logged."""
    found = {}
    for direction, score in scores.items():
        found[PROGRESS.of(direction)] = score.progress.value
        found[PROGRESS_ERROR.of(direction)] = score.progress.error
        found[SSIM.of(direction)] = score.ssim
        found[KID.of(direction)] = score.kid.value
        found[KID_ERROR.of(direction)] = score.kid.error
    return found
