"""Comparison of runs by eye: one page with blind votes, and its settings."""

from pathlib import Path
from typing import Annotated

import tyro
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.hub import is_address
from cyclegan.kinds import STRICT
from cyclegan.run import FolderDirection

RunNames = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="RUN RUN ...", help_behavior_hint=""),
]


@dataclass(frozen=True, config=STRICT)
class CompareSettings:
    """Runs to compare, and the images to compare them on."""

    runs: RunNames
    """two or more runs: names, files or folders"""
    input: Path | None = None
    """folder of images to convert; by default the test images next to the first run's training
    images"""
    dataroot: Path | None = None
    """folder that holds testA, testB, trainA and trainB; by default the first run's training
    data"""
    output: Path = Path("comparison.html")
    """HTML page to write"""
    images: PositiveInt = 24
    """images to show, spread evenly over the folder"""
    size: PositiveInt | None = None
    """side in pixels to convert them at; by default the first run's crop_size"""
    direction: FolderDirection = "AtoB"
    """AtoB or BtoA"""
    epoch: str = "latest"
    """checkpoint of the runs: latest, previous, best or an epoch number"""
    figures: bool = True
    """also measure the runs, as evaluate does"""
    overwrite: bool = False
    """overwrite an existing page"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""

    def check(self) -> None:
        """Raise UsageError for fewer than two runs, or models on the hub."""
        for run in filter(is_address, self.runs):
            raise UsageError(
                f"{run}: cyclegan compare needs local runs; convert also takes models on the hub"
            )
        if len(self.runs) < 2:
            given = f"only {self.runs[0]}" if self.runs else "none"
            raise UsageError(f"cyclegan compare needs at least two runs, got {given}")
