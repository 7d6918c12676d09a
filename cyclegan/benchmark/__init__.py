"""Settings of the benchmarks: plain against chosen execution, many devices, one's throughput."""

from collections.abc import Collection
from pathlib import Path

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class BenchmarkSettings:
    """Number of pairs to measure, and format of the figures."""

    pairs: PositiveInt = 5
    """alternating measurements of both executions"""
    json: bool = False
    """print the figures as JSON"""


@dataclass(frozen=True, config=STRICT)
class ScaleSettings:
    """Device counts to plan for, their interconnect and their price."""

    devices: tuple[PositiveInt, ...] = (1, 2, 4, 8, 64)
    """numbers of devices to plan for"""
    bandwidth: PositiveFloat = 10.0
    """bandwidth between devices in GB/s, in each direction at once"""
    latency: NonNegativeFloat = 20.0
    """latency of a message in microseconds"""
    price: NonNegativeFloat = 0.0
    """price of a device per hour, in any currency; 0: no costs are shown"""
    pictures: PositiveInt = 10_000_000
    """images to convert in shards"""
    seconds_per_picture: NonNegativeFloat = 0.0
    """conversion time per image in seconds on one device, from cyclegan benchmark convert; 0: no
    conversion is planned"""
    seconds: PositiveFloat = 20.0
    """time budget in seconds for measuring a step, for each number of images"""
    json: bool = False
    """print the figures as JSON"""


@dataclass(frozen=True, config=STRICT)
class DeviceBenchmarkSettings:
    """Device, parts and time limit of a device benchmark."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    seconds: PositiveFloat = 300.0
    """time budget; skip parts that don't fit"""
    only: str = ""
    """comma-separated parts of card, ceilings, steps and convert; by default all"""
    tiny: bool = False
    """tiny networks and images, as a quick smoke test"""
    into: Path | None = None
    """add the figures to this JSON file, keeping its other contents"""
    json: bool = False
    """print the figures as JSON"""

    def sections(self, known: Collection[str]) -> list[str]:
        """Return the parts to measure. Raises UsageError where one is not in `known`."""
        names = [name for name in self.only.split(",") if name] or list(known)
        for name in names:
            if name not in known:
                raise UsageError(f"--only {name}: no such part; choose from {', '.join(known)}")
        return names
