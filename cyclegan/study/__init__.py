"""Settings of a study: presets compared after the same processor time.

They are compared on pictures that chose no checkpoint.
"""

from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.features import FeatureName
from cyclegan.kinds import STRICT

Presets = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="PRESET PRESET ...", help_behavior_hint=""),
]


@dataclass(frozen=True, config=STRICT)
class StudySettings:
    """Presets to compare, their pictures, and how long they are trained."""

    presets: Presets
    """presets to compare: names (cyclegan settings --list has them) or TOML files"""
    dataroot: Path
    """folder that holds trainA, trainB, testA and testB (and twinsA and twinsB, if any)"""
    output: Path = Path("study")
    """folder of the study; an existing study is resumed"""
    seeds: PositiveInt = 3
    """runs per preset"""
    minutes: PositiveFloat = 10.0
    """training budget of each run in CPU minutes: user and system time of all its processes,
    without evaluation and startup; on a GPU, wall-clock minutes"""
    checkpoints: PositiveInt = 5
    """parts to split the budget into, presets taking turns; each ends with a candidate
    checkpoint"""
    size: PositiveInt | None = None
    """side in pixels to compare images at; by default the presets' largest crop_size"""
    crops: NonNegativeInt | None = None
    """crops of each domain's test images to compare, as in evaluate"""
    features: FeatureName = "efficientnet-lite0"
    """feature network; no preset may train with it"""
    min_ssim: Annotated[float, Field(ge=0, le=1)] = 0.3
    """minimum content preservation of a checkpoint, as luminance SSIM: any shortfall counts tenfold
    against its progress; 0: no minimum"""
    images: PositiveInt = 24
    """images per direction on the voting pages"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    json: bool = False
    """print the figures as JSON"""

    def check(self) -> None:
        """Raise UsageError where no preset is given."""
        if not self.presets:
            raise UsageError("cyclegan study needs at least one preset, got none")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the presets: those of their files, numbered where they are alike."""
        stems = [Path(preset).stem for preset in self.presets]
        return tuple(
            stem if stem not in stems[:place] else f"{stem}_{stems[:place].count(stem) + 1}"
            for place, stem in enumerate(stems)
        )
