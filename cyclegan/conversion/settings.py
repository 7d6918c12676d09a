"""Settings of a conversion; what the checkpoint knows is not asked for."""

from pathlib import Path
from typing import Literal

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.execution.settings import PrecisionChoice, Switch
from cyclegan.run import FolderDirection
from cyclegan.strict import STRICT

Format = Literal["png", "jpg", "webp"]
NormStatistics = Literal["trained", "image"]


@dataclass(frozen=True, config=STRICT)
class ConvertSettings:
    """Which images are converted with what, and where they go."""

    input: Path
    """folder of images (with all folders below it), or one image"""
    output: Path
    """folder for the converted images; mirrors the input folder"""
    name: str | None = None
    """name of the run to convert with"""
    weights: Path | None = None
    """file to convert with instead: a checkpoint, or a generator of the classic scripts"""
    epoch: str = "latest"
    """which checkpoint of the run: latest, best or the number of an epoch"""
    direction: FolderDirection | None = None
    """AtoB or BtoA; by default the direction that was trained"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    load_size: PositiveInt | None = None
    """scale the shorter side to so many pixels; by default images keep their size"""
    format: Format | None = None
    """png, jpg or webp; by default the input's format (PNG for BMP and TIFF)"""
    overwrite: bool = False
    """replace files that are there already"""
    num_test: PositiveInt | None = None
    """convert at most so many images; by default all"""
    norm_statistics: NormStatistics = "trained"
    """statistics of BatchNorm layers: as trained, or of each image as the classic's test did"""
    average: bool = True
    """convert with the weights averaged over the training's steps, where there are any"""
    precision: PrecisionChoice = "auto"
    """type that the generator computes in; auto measures what is quicker (pixels differ by less
    than a level)"""
    compile: Switch = "auto"
    """compile the generator; auto does for many images of one size"""
    reference: Path | None = None
    """folder of the pictures that should come out, by the same names: prints the difference"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
