"""Conversion of image sets with a trained generator: the settings of each part."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.conversion.shards import Shard
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
#: The model that comes with the package: a student, taught on the sample set.
SAMPLE = Path(__file__).with_name("sample.pt")
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
    """file limit"""


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """The generator that converts, and how it is computed."""

    name: str | None = None
    """of a run; None if `weights` are given"""
    weights: Path | None = None
    checkpoints_dir: Path = Path("checkpoints")
    epoch: str = "latest"
    direction: FolderDirection | None = None
    """None for the trained one"""
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
    """shorter side in pixels; None: original size"""
    range: tuple[float, float] | None = None
    """values that are black and white, for files whose values have no range"""
    batch_size: int | None = None
    """pictures of equal size per batch; None: chosen by device"""


@dataclass(frozen=True, config=STRICT)
class ConvertSettings:
    """Settings of `cyclegan convert`; each part of the conversion takes a slice of them."""

    input: Path | None = None
    """folder of images and videos (searched recursively), or a single file; s3://... and other URLs
    too; by default the test images next to the run's training images"""
    output: Path | None = None
    """output folder or its URL; mirrors the input folder; for a single image or video, may be a
    file; by default results/NAME"""
    dataroot: Path | None = None
    """folder that holds testA and testB; the source domain's is the input"""
    name: str | None = None
    """name of the run to convert with, or hf://USER/MODEL"""
    weights: Path | None = None
    """file to convert with instead: a checkpoint, a generator of the classic scripts, or what
    cyclegan export wrote; a folder, of a run or of the classic's files; or a model on the Hugging
    Face Hub, hf://USER/MODEL or hf://USER/MODEL@REVISION"""
    runtime: Runtime = "auto"
    """runtime for exported files: torch, onnxruntime or openvino; auto goes by the content"""
    provider: Provider = "auto"
    """execution provider of onnxruntime: cpu, cuda or tensorrt; auto is a GPU if the package
    onnxruntime-gpu is installed, never TensorRT"""
    trust_code: bool = False
    """allow --weights that contain code (TorchScript, torch.export): it can do anything here; only
    for files you trust"""
    epoch: str = "latest"
    """checkpoint of the run: latest, previous, best or an epoch number"""
    direction: ConvertDirections | None = None
    """AtoB, BtoA or both (a folder for each); by default the trained direction"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    load_size: PositiveInt | None = None
    """resize the shorter side to this; by default images keep their size"""
    format: Format | None = None
    """output image format; by default the input's (PNG for BMP, TIFF for DICOM)"""
    overwrite: bool = False
    """overwrite existing files"""
    batch_size: PositiveInt | None = None
    """batch size for images of equal size; by default 8 on a GPU, 1 elsewhere"""
    num_test: PositiveInt | None = None
    """maximum number of images; by default all"""
    norm_statistics: NormStatistics = "trained"
    """BatchNorm statistics: trained, or of each image, as in the classic's test script"""
    average: bool = True
    """convert with the moving average (EMA) of the weights, if there is one"""
    precision: PrecisionChoice = "auto"
    """compute precision of the generator; auto picks bf16 on CPUs and GPUs with hardware support
    for it (pixels differ by less than a level); resumed jobs keep theirs"""
    compile: Switch = "auto"
    """compile the generator; auto: for many images of one size"""
    range: tuple[float, float] | None = None
    """values of black and white, for files without a fixed value range (floats, DICOM)"""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """blending strength: 0 gives the input, 1 the conversion"""
    keep_luminance: bool = False
    """transfer colour only; keep the input's luminance"""
    keep_color: bool = False
    """transfer luminance only; keep the input's colours"""
    style_mix: str | None = None
    """for models of several paintings: mixing weights, as starry_night=0.7,irises=0.3"""
    style: tuple[Path, ...] = ()
    """for fusion models: one or more style images"""
    style_weights: tuple[NonNegativeFloat, ...] = ()
    """weight of each --style, for example 0.7 0.3; by default equal weights"""
    mask: Path | None = None
    """mask image: white areas are converted, black ones stay as they are. It is resized to each
    image"""
    also: Also | None = None
    """also write cycled (converted and back), identity (by the other generator) or both, to output
    folders of these names"""
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """for JPEG, WebP; by default a JPEG's own, else 95"""
    crf: Annotated[int, Field(ge=0, le=63)] | None = None
    """video CRF: constant quality, lower is better; by default 16 (22 for WebM)"""
    temporal: bool = False
    """reduce flicker in videos by warping the last converted frame along the motion"""
    chroma: Chroma | None = None
    """for JPEG, video: 444, 422 or 420; by default the input's"""
    glob: str | None = None
    """convert only files whose relative path matches, for example 'day1/*.jpg'; * matches / too"""
    list: Path | None = None
    """convert only the files listed in this text file, one relative path per line"""
    dry_run: bool = False
    """print the planned inputs and outputs, write nothing"""
    shard: str | None = None
    """convert only shard i of n, given as i/n (1/4), for several processes or machines; auto takes
    both from SLURM's job array. Under torchrun each process takes its own shard"""
    merge: bool = False
    """convert nothing: join the manifests of the shards in --output and write its page, as the
    last shard does when all are finished"""
    tile: TileMode = "auto"
    """tiling of large images: off, exact (in bands, with the same result), fast (in tiles, with
    shared norm statistics), dense (in tiles, with statistics per pixel); auto is off if memory
    suffices, else exact"""
    scratch: Path | None = None
    """scratch folder of --tile exact; by default the system's temporary folder"""
    reference: Path | None = None
    """folder of the expected outputs, under the same names: prints the difference"""
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
    def share(self) -> Shard | None:
        """The shard of this process; None for the whole. Raises UsageError for a wrong one."""
        return Shard.asked(self.shard)

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
        """Raise UsageError unless one generator is named, with all that it needs.

        Joining shards needs an output only.
        """
        if self.merge:
            self._check_merge()
            return
        _ = self.share
        if (self.name is None) == (self.weights is None) and not self.dry_run:
            raise UsageError("give either --name RUN or --weights FILE to convert with")
        if self.name is not None:
            return  # the run knows its images
        asked = {"--input": self.input or self.dataroot, "--output": self.output}
        missing = [flag for flag, given in asked.items() if given is None]
        if missing:
            raise UsageError(f"missing {' and '.join(missing)} (see cyclegan convert --help)")

    def _check_merge(self) -> None:
        if self.shard is not None:
            raise UsageError("--merge joins all shards: leave out --shard")
        _ = self.target

    @property
    def also_made(self) -> tuple[str, ...]:
        """Names of what is made beside the conversions."""
        return tuple(self.also.split(",")) if self.also else ()
