"""Benchmarks: the plain execution and the chosen one, in turn on this machine."""

from collections.abc import Collection
from pathlib import Path

from pydantic import PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class BenchmarkSettings:
    """How long is measured, and how it is told."""

    pairs: PositiveInt = 5
    """how often both executions are measured in turn"""
    json: bool = False
    """print figures for programs"""


@dataclass(frozen=True, config=STRICT)
class DeviceBenchmarkSettings:
    """What of a device is measured, and for how long."""

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
        """The parts that are measured. Raises UsageError where one is not `known`."""
        names = [name for name in self.only.split(",") if name] or list(known)
        for name in names:
            if name not in known:
                raise UsageError(f"--only {name}: no such part; there are {', '.join(known)}")
        return names
