"""Conversion of image sets with a trained generator: the settings of each part."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.execution import PrecisionChoice, Switch
from cyclegan.images import Chroma, Encoding
from cyclegan.images.formats import NAMES
from cyclegan.kinds import STRICT
from cyclegan.run import FolderDirection
from cyclegan.runtimes import Provider, Runtime
from cyclegan.tiling import TileMode, Tiling

ConvertDirections = Literal["AtoB", "BtoA", "both"]
Also = Literal["cycled", "identity", "cycled,identity"]
NormStatistics = Literal["trained", "image"]
if TYPE_CHECKING:
    Format = str
else:  # the formats that can be written are those of the one table of them
    Format = Literal[*NAMES]


@dataclasses.dataclass(frozen=True)
class Locations:
    """The input and the output of a conversion; either may be behind a URL."""

    source: Path
    target: Path
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class Selection:
    """The files to convert, and their format; by default all files, in their own formats."""

    format: Format | None = None
    glob: str | None = None
    list: Path | None = None
    most: int | None = None
    """how many files"""


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """The generator that converts, and how it is computed."""

    name: str | None = None
    """of a run; None where `weights` are given"""
    weights: Path | None = None
    checkpoints_dir: Path = Path("checkpoints")
    epoch: str = "latest"
    direction: FolderDirection | None = None
    """None for the one that was trained"""
    average: bool = True
    norm_statistics: NormStatistics = "trained"
    runtime: Runtime = "auto"
    provider: Provider = "auto"
    trust_code: bool = False
    style_mix: str | None = None
    style: tuple[Path, ...] = ()
    style_weights: tuple[float, ...] = ()
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    compile: Switch = "auto"


@dataclasses.dataclass(frozen=True)
class Reading:
    """Settings of how pictures are read for the generator."""

    load_size: int | None = None
    """pixels of the shorter side; None as they are"""
    range: tuple[float, float] | None = None
    """values that are black and white, for files whose values have no range"""
    batch_size: int | None = None
    """pictures of one size that are computed together; None for what the device likes"""


@dataclass(frozen=True, config=STRICT)
class ConvertSettings:
    """Settings of `cyclegan convert`; each part of the conversion takes a slice of them."""

    input: Path | None = None
    """folder of images and videos (with all folders below it), or one of them; s3://... and other
    URLs too; by default the test images beside those that the run was trained on"""
    output: Path | None = None
    """folder for what is made, or a URL of one; mirrors the input folder; for one picture or video
    a file, too; by default results/NAME"""
    dataroot: Path | None = None
    """folder that holds testA and testB: the one that is converted is the input"""
    name: str | None = None
    """name of the run to convert with"""
    weights: Path | None = None
    """file to convert with instead: a checkpoint, a generator of the classic scripts, or what
    cyclegan export wrote; or a folder, of a run or of the classic's files"""
    runtime: Runtime = "auto"
    """what runs an exported file: torch, onnxruntime or openvino; auto goes by its content"""
    provider: Provider = "auto"
    """what onnxruntime computes by: cpu, cuda or tensorrt; auto is a GPU where the package
    onnxruntime-gpu is installed, and never TensorRT"""
    trust_code: bool = False
    """open --weights that are a program, too (TorchScript, torch.export): they can do anything
    here, so only what you trust"""
    epoch: str = "latest"
    """which checkpoint of the run: latest, previous, best or an epoch's number"""
    direction: ConvertDirections | None = None
    """AtoB or BtoA; by default the direction that was trained; both makes a folder for each"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    load_size: PositiveInt | None = None
    """scale the shorter side to so many pixels; by default images keep their size"""
    format: Format | None = None
    """format of the pictures; by default the input's (PNG for BMP, TIFF for DICOM)"""
    overwrite: bool = False
    """replace files that are there already"""
    batch_size: PositiveInt | None = None
    """how many pictures of one size are converted together; by default 8 on a GPU, 1 elsewhere"""
    num_test: PositiveInt | None = None
    """convert at most so many images; by default all"""
    norm_statistics: NormStatistics = "trained"
    """statistics of BatchNorm layers: as trained, or of each image as the classic's test did"""
    average: bool = True
    """convert with the weights averaged over the training's steps, where there are any"""
    precision: PrecisionChoice = "auto"
    """type that the generator computes in; auto takes bf16 on CPUs and GPUs that are built for it
    (pixels differ by less than a level), and what a job began with when it is resumed"""
    compile: Switch = "auto"
    """compile the generator; auto does for many images of one size"""
    range: tuple[float, float] | None = None
    """values that are black and white, for files whose values have no range (floats, DICOM)"""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """how much of the conversion is taken over: 0 gives the input, 1 the conversion"""
    keep_luminance: bool = False
    """take over colour only: light and shade stay as they are"""
    keep_color: bool = False
    """take over light and shade only: colours stay as they are"""
    style_mix: str | None = None
    """of a model of several paintings: which, with their shares: starry_night=0.7,irises=0.3"""
    style: tuple[Path, ...] = ()
    """of a fusion model: pictures whose style is wanted, one or several"""
    style_weights: tuple[NonNegativeFloat, ...] = ()
    """how much of each --style, for example 0.7 0.3; by default as much of each"""
    mask: Path | None = None
    """picture whose white says where the conversion is taken over; black stays as it was. It is
    scaled to each picture"""
    also: Also | None = None
    """cycled (converted and back), identity (by the other generator) or both, in folders of
    these names within the output"""
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """of JPEG and WebP; by default a JPEG's own, else 95"""
    crf: Annotated[int, Field(ge=0, le=63)] | None = None
    """of videos: constant quality, smaller is better; by default 16 (22 for WebM)"""
    temporal: bool = False
    """less flicker in videos: what was made of the last frame is carried along with the motion"""
    chroma: Chroma | None = None
    """of JPEG and videos: 444, 422 or 420; by default the input's"""
    glob: str | None = None
    """convert those whose path within the input matches, for example 'day1/*.jpg'; * stands for
    folders too"""
    list: Path | None = None
    """convert those that this file names, a line each, by their path within the input"""
    dry_run: bool = False
    """say what would be converted to what, and write nothing"""
    tile: TileMode = "auto"
    """how large pictures are computed: off (at once), exact (in bands, with the same result), fast
    (in tiles, normalised alike), dense (in tiles, normalised pixel by pixel); auto computes at
    once where memory is enough, else exactly"""
    scratch: Path | None = None
    """folder for what --tile exact keeps on disk; by default the system's temporary folder"""
    reference: Path | None = None
    """folder of the pictures that should come out, by the same names: prints the difference"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""

    @property
    def locations(self) -> Locations:
        """The input and the output. Raises UsageError if one is missing."""
        if self.input is None:
            raise UsageError("missing --input (see cyclegan convert --help)")
        return Locations(self.input, self.target, self.overwrite)

    @property
    def target(self) -> Path:
        """The output. Raises UsageError if there is none."""
        if self.output is None and self.name is None:
            raise UsageError("missing --output (see cyclegan convert --help)")
        return self.output or Path("results") / str(self.name)

    @property
    def selection(self) -> Selection:
        """The files to convert, and their format."""
        return Selection(self.format, self.glob, self.list, self.num_test)

    @property
    def model(self) -> ModelChoice:
        """The generator, and how it is computed."""
        names = {item.name for item in dataclasses.fields(ModelChoice)} - {"direction"}
        one_way = None if self.direction == "both" else self.direction
        return ModelChoice(**{name: getattr(self, name) for name in names}, direction=one_way)

    @property
    def reading(self) -> Reading:
        """Settings of how pictures are read."""
        return Reading(self.load_size, self.range, self.batch_size)

    @property
    def tiling(self) -> Tiling:
        """Settings of how large pictures are computed."""
        return Tiling(self.tile, self.scratch)

    @property
    def encoding(self) -> Encoding:
        """Settings of lossy formats."""
        return Encoding(self.quality, self.chroma, self.crf)

    def check(self) -> None:
        """Raise UsageError unless one generator is named, with all that it needs."""
        if (self.name is None) == (self.weights is None) and not self.dry_run:
            raise UsageError("give either --name RUN or --weights FILE to convert with")
        if self.name is not None:
            return  # the run knows its images
        asked = {"--input": self.input or self.dataroot, "--output": self.output}
        missing = [flag for flag, given in asked.items() if given is None]
        if missing:
            raise UsageError(f"missing {' and '.join(missing)} (see cyclegan convert --help)")

    @property
    def also_made(self) -> tuple[str, ...]:
        """Names of what is made beside the conversions."""
        return tuple(self.also.split(",")) if self.also else ()
