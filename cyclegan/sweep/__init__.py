"""Settings of a sweep: values of a preset's settings, searched for the best pictures.

Each trial is trained and judged as a study trains and judges a preset.
"""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.features import FeatureName
from cyclegan.kinds import STRICT
from cyclegan.study import StudySettings

SweepPreset = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET")]
Vary = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(metavar="NAME VALUE VALUE ...", help_behavior_hint=""),
]


@dataclass(frozen=True, config=STRICT)
class SweepSettings:
    """A preset, the settings to vary, and how long each trial is trained."""

    preset: SweepPreset
    """preset to improve: a name (cyclegan settings --list has them) or a TOML file"""
    vary: Vary = ()
    """a setting by its flag's name, and its values: two numbers are the ends of a range (searched
    on a log scale if the larger is at least ten times the smaller), anything else is a choice; can
    be given several times"""
    dataroot: Path | None = None
    """folder that holds trainA, trainB, testA and testB (and twinsA and twinsB, if any); by default
    the preset's"""
    output: Path = Path("sweep")
    """folder of the sweep; an existing sweep is resumed"""
    trials: PositiveInt = 20
    """number of trials, the preset itself included"""
    minutes: PositiveFloat = 5.0
    """training budget of each trial in CPU minutes, as in study; on a GPU wall-clock minutes"""
    checkpoints: PositiveInt = 5
    """parts to split the budget into; each ends with an evaluation"""
    prune: bool = True
    """stop a trial early if it is below the median of the others after the same part"""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """random seed of the search; the same seed and measurements suggest the same settings"""
    size: PositiveInt | None = None
    """side in pixels to compare images at; by default the preset's crop_size"""
    crops: NonNegativeInt | None = None
    """crops of each domain's test images to compare, as in evaluate"""
    features: FeatureName = "efficientnet-lite0"
    """feature network; no trial may train with it"""
    min_ssim: Annotated[float, Field(ge=0, le=1)] = 0.3
    """minimum content preservation, as luminance SSIM, as in study; 0: no minimum"""
    images: PositiveInt = 6
    """images per direction on the page"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """print the result as JSON"""

    def check(self) -> None:
        """Raise UsageError where nothing varies."""
        if not self.vary:
            raise UsageError("cyclegan sweep needs a setting to vary: give --vary NAME LOW HIGH")

    def study(self, dataroot: Path) -> StudySettings:
        """Return how a study would train and judge each trial."""
        own = {one.name for one in fields(type(self))} - {"dataroot"}
        names = [one.name for one in fields(StudySettings) if one.name in own]
        shared: dict[str, Any] = {name: getattr(self, name) for name in names}
        return StudySettings((self.preset,), dataroot, seeds=1, **shared)
