"""Two ways of doing the same, in turn, so that what else the machine does meets both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from cyclegan.progress import tracked, waiting


@dataclass(frozen=True)
class Ratio:
    """Chosen over plain, over all pairs: below 1 is quicker."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Pairs:
    """Median seconds of both ways, and how they compare pair by pair."""

    plain: float
    chosen: float
    ratio: Ratio

    def table(self) -> dict[str, Any]:
        """As plain builtins."""
        return asdict(self)


def measure(
    plain: Callable[[], object], chosen: Callable[[], object], pairs: int, *, settle: bool = False
) -> Pairs:
    """Run both `pairs` times in turn, after one run each that is not counted.

    `settle` runs each twice in its turn and counts the second: the first pays for what the other
    way left in memory, which a training that goes on in one way never meets.
    """
    with waiting("measuring: once without counting"):
        plain()
        chosen()
    rounds = tracked(range(pairs), "measuring", "pairs")
    taken = [(_seconds(plain, settle=settle), _seconds(chosen, settle=settle)) for _ in rounds]
    ratios = [second / first for first, second in taken]
    return Pairs(
        statistics.median(first for first, _ in taken),
        statistics.median(second for _, second in taken),
        Ratio(min(ratios), statistics.median(ratios), max(ratios)),
    )


def _seconds(call: Callable[[], object], *, settle: bool) -> float:
    if settle:
        call()
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
