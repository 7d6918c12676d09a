"""Settings of an evaluation: a trained run's pictures, or two folders, compared."""

from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.features import FeatureName
from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class EvaluateSettings:
    """Run or folders to evaluate, and the network and crops to measure with."""

    name: str | None = None
    """name of the run to evaluate"""
    dataroot: Path | None = None
    """folder that holds testA, testB, trainA and trainB; by default what the run was trained on"""
    epoch: str = "latest"
    """which checkpoint of the run: latest, previous, best, an epoch's number, or all"""
    real: Path | None = None
    """compare two folders without a run: real pictures"""
    fake: Path | None = None
    """compare two folders without a run: pictures that should be like them"""
    features: FeatureName = "efficientnet-lite0"
    """network whose features are compared; inception's are those of published figures"""
    feature_weights: Path | None = None
    """file of its weights; by default they come with a package or are downloaded"""
    trust_code: bool = False
    """use --features and --feature_weights that are programs, too: dinov2 runs code of its
    repository, and CLIP's own file is TorchScript"""
    images: PositiveInt | None = None
    """convert at most so many test images of each domain; by default all"""
    size: PositiveInt | None = None
    """pixels a side at which pictures are converted and compared; by default the run's crop_size"""
    crops: NonNegativeInt | None = None
    """squares of that size that are compared of each domain's test pictures, from all over them;
    pictures are then converted whole, in their own size; 0 takes each picture as one square; by
    default 100 where a domain has fewer than 8 test pictures and they are large"""
    average: bool = True
    """evaluate the weights averaged over the training's steps, where there are any"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    json: bool = False
    """print figures for programs"""

    def check(self) -> None:
        """Raise UsageError unless either a run or two folders are given."""
        folders = (self.real is not None, self.fake is not None)
        if self.name is not None and any(folders):
            raise UsageError("give either --name RUN, or --real DIR and --fake DIR")
        if self.name is None and not all(folders):
            raise UsageError("give --name RUN, or --real DIR and --fake DIR to compare two folders")
