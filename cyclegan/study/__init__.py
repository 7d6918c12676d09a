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
    """folder that holds trainA, trainB, testA and testB (twinsA and twinsB where there are)"""
    output: Path = Path("study")
    """folder of the study; what is in it already is gone on with"""
    seeds: PositiveInt = 3
    """runs of each preset"""
    minutes: PositiveFloat = 10.0
    """processor minutes that each run is trained: user and system of all its processes, measuring
    and starting left out; on a GPU, whose work no processor counts, minutes of the clock"""
    checkpoints: PositiveInt = 5
    """parts that these minutes are trained in, presets in turn; each ends with a checkpoint that
    may be chosen"""
    size: PositiveInt | None = None
    """pixels a side at which pictures are compared; by default the presets' largest crop_size"""
    crops: NonNegativeInt | None = None
    """squares that are compared of each domain's test pictures, as in evaluate"""
    features: FeatureName = "efficientnet-lite0"
    """network that judges; no preset may train with it"""
    min_ssim: Annotated[float, Field(ge=0, le=1)] = 0.3
    """content that a checkpoint has to keep, as SSIM of luminance: what lacks counts ten times
    against its progress; 0: whatever it keeps"""
    images: PositiveInt = 24
    """pictures of each direction on the pages that are voted on"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    json: bool = False
    """print figures for programs"""

    def check(self) -> None:
        """Raise UsageError where no preset is given."""
        if not self.presets:
            raise UsageError("cyclegan study takes one preset or more, and was given none")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the presets: those of their files, numbered where they are alike."""
        stems = [Path(preset).stem for preset in self.presets]
        return tuple(
            stem if stem not in stems[:place] else f"{stem}_{stems[:place].count(stem) + 1}"
            for place, stem in enumerate(stems)
        )
