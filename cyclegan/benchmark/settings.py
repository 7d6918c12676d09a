"""Settings of the benchmarks; the training they measure is given by the flags of train."""

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class BenchmarkSettings:
    """How long is measured, and how it is told."""

    pairs: PositiveInt = 5
    """how often both executions are measured in turn"""
    json: bool = False
    """print figures for programs"""
