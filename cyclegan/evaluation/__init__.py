"""Settings of an evaluation: a trained run's pictures, or two folders, compared."""

from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.features import FeatureName
from cyclegan.hub import is_address
from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class EvaluateSettings:
    """Run or folders to evaluate, and the network and crops to measure with."""

    name: str | None = None
    """name of the run to evaluate, or hf://USER/MODEL (needs --dataroot; by default at 256 px)"""
    dataroot: Path | None = None
    """folder that holds testA, testB, trainA and trainB; by default the run's training data"""
    epoch: str = "latest"
    """checkpoint of the run: latest, previous, best, an epoch number, or all"""
    real: Path | None = None
    """to compare folders without a run: real images"""
    fake: Path | None = None
    """to compare folders without a run: generated images"""
    features: FeatureName = "efficientnet-lite0"
    """feature network of the metrics; published figures use inception"""
    feature_weights: Path | None = None
    """its weights file; by default from a package, or downloaded"""
    trust_code: bool = False
    """allow --features and --feature_weights that contain code: dinov2 runs code of its repository,
    and CLIP's own file is TorchScript"""
    images: PositiveInt | None = None
    """maximum number of test images per domain; by default all"""
    size: PositiveInt | None = None
    """side in pixels to convert and compare images at; by default the run's crop_size"""
    crops: NonNegativeInt | None = None
    """crops of that size to compare per domain, from all over its test images, which are then
    converted whole, at their own size; 0 takes each image as one crop; by default 100 if a domain
    has fewer than 8 test images and they are large"""
    average: bool = True
    """evaluate the moving average (EMA) of the weights, if there is one"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    json: bool = False
    """print the figures as JSON"""

    def check(self) -> None:
        """Raise UsageError unless either a run or two folders are given."""
        folders = (self.real is not None, self.fake is not None)
        if self.name is not None and is_address(self.name) and self.epoch != "latest":
            raise UsageError(f"--epoch {self.epoch} goes with a run: give {self.name}@REVISION")
        if self.name is not None and any(folders):
            raise UsageError("give either --name RUN, or --real DIR and --fake DIR")
        if self.name is None and not all(folders):
            raise UsageError("give --name RUN, or --real DIR and --fake DIR to compare two folders")
