"""Settings of the benchmarks: plain against chosen execution, and a device's throughput."""

from collections.abc import Collection
from pathlib import Path

from pydantic import PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class BenchmarkSettings:
    """Number of pairs to measure, and format of the figures."""

    pairs: PositiveInt = 5
    """how often both executions are measured in turn"""
    json: bool = False
    """print figures for programs"""


@dataclass(frozen=True, config=STRICT)
class DeviceBenchmarkSettings:
    """Device, parts and time limit of a device benchmark."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    seconds: PositiveFloat = 300.0
    """begin no part for which less time is left"""
    only: str = ""
    """parts with commas between, of card, ceilings, steps and convert; by default all"""
    tiny: bool = False
    """networks and pictures that take moments: to see whether it runs"""
    into: Path | None = None
    """write the figures into this JSON file, beside what others wrote there"""
    json: bool = False
    """print figures for programs"""

    def sections(self, known: Collection[str]) -> list[str]:
        """Return the parts to measure. Raises UsageError where one is not in `known`."""
        names = [name for name in self.only.split(",") if name] or list(known)
        for name in names:
            if name not in known:
                raise UsageError(f"--only {name}: no such part; there are {', '.join(known)}")
        return names
