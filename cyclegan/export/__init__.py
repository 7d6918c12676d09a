"""Export of trained generators: files for other runtimes, pages for browsers, models on the hub."""

import re
from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.hub import HubModel, is_address, told
from cyclegan.kinds import STRICT
from cyclegan.run import FolderDirection, check_name

RunName = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
Address = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="hf://USER/MODEL")]
EditedCard = Literal["refuse", "keep", "replace"]
FormatName = Literal[
    "onnx", "torchscript", "torch-export", "classic", "safetensors", "openvino", "web"
]


@dataclass(frozen=True, config=STRICT)
class ExportSettings:
    """Generator to export, file format and 8-bit quantization."""

    format: FormatName
    """onnx, torchscript, torch-export or openvino hold the network, for images of any size;
    safetensors its weights; classic its weights as the classic scripts read them; web is a folder
    with a page that converts in the browser. torchscript and torch-export files contain code:
    loading them requires trust (--trust_code)"""
    name: str | None = None
    """name of the run to export, or hf://USER/MODEL"""
    weights: Path | None = None
    """file to export instead: a checkpoint, safetensors, or a generator of the classic scripts; a
    folder, of a run or of the classic's files; or a model on the Hugging Face Hub,
    hf://USER/MODEL"""
    trust_code: bool = False
    """allow --weights that contain code (TorchScript, torch.export): it can do anything here; only
    for files you trust"""
    epoch: str = "latest"
    """checkpoint of the run: latest, previous, best or an epoch number"""
    direction: FolderDirection | None = None
    """AtoB or BtoA; by default the trained direction"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    style_mix: str | None = None
    """for models of several paintings: mixing weights, as starry_night=0.7,irises=0.3"""
    style: tuple[Path, ...] = ()
    """for fusion models: one or more style images to build into the file"""
    style_weights: tuple[NonNegativeFloat, ...] = ()
    """weight of each --style, for example 0.7 0.3; by default equal weights"""
    average: bool = True
    """export the moving average (EMA) of the weights, if there is one"""
    output: Path | None = None
    """output file, for web a folder; by default next to the weights. An openvino .xml has a .bin
    next to it, every other format is one file"""
    overwrite: bool = False
    """overwrite an existing file, or a folder that --format web wrote"""
    assets: Path | None = None
    """for web: folder of onnxruntime-web's files, for machines without internet"""
    int8: bool = False
    """quantise the convolutions to int8 (onnx and openvino); needs --calibration"""
    calibration: Path | None = None
    """folder of representative input images for int8 calibration"""
    calibration_images: PositiveInt = 24
    """maximum number of them; the last four are held out for measuring"""
    load_size: PositiveInt = 256
    """resize the calibration images' shorter side to this"""

    def check(self) -> None:
        """Raise UsageError if settings contradict each other."""
        if (self.name is None) == (self.weights is None):
            raise UsageError("give either --name RUN or --weights FILE to export")
        if self.name is not None:
            check_name(self.name)
        if self.weights is not None and is_address(self.weights) and self.output is None:
            raise UsageError(f"{told(self.weights)}: give the file to write with --output FILE")
        one_file = self.weights is not None and not self.weights.is_dir()
        if one_file and self.epoch != "latest":
            raise UsageError(f"--epoch {self.epoch} goes with --name; --weights names one file")
        if self.int8 and self.calibration is None:
            raise UsageError("--int8 needs --calibration DIR: a folder of images to be converted")
        if self.calibration is not None and not self.int8:
            raise UsageError(f"--calibration {self.calibration} goes with --int8")
        if self.assets is not None and self.format != "web":
            raise UsageError(f"--assets {self.assets} goes with --format web")


@dataclass(frozen=True, config=STRICT)
class CardSettings:
    """Run to describe, details for its model card, and output file."""

    name: RunName
    """name of the run"""
    license: str | None = None
    """licence of the weights, by its identifier on the hub, for example cc-by-4.0"""
    trained_on: str | None = None
    """what the pictures of both domains are and where they are from, in your words"""
    pictures: bool = False
    """show held-out pictures of the run: only if you may publish them"""
    epoch: str = "latest"
    """checkpoint of the run: latest, previous, best or an epoch number"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    output: Path | None = None
    """file to write; by default card.md in the run's folder"""
    overwrite: bool = False
    """overwrite an existing card"""

    def check(self) -> None:
        """Raise UsageError if the name can't be a run's, or the licence none."""
        check_name(self.name)
        check_license(self.license)


@dataclass(frozen=True, config=STRICT)
class PushSettings:
    """Run to push, target model on the hub, and details for its model card."""

    name: RunName
    """name of the run"""
    target: Address
    """model on the Hugging Face Hub; made if it is not there. Its address may end in @BRANCH"""
    license: str
    """licence of the weights, by its identifier on the hub, for example cc-by-4.0"""
    trained_on: str
    """what the pictures of both domains are and where they are from, in your words"""
    pictures: bool = False
    """show held-out pictures of the run in the card: only if you may publish them"""
    private: bool = False
    """make a model that only you can see"""
    edited_card: EditedCard = "refuse"
    """what to do if the card on the hub was edited by hand: refuse to push, keep or replace it"""
    epoch: str = "latest"
    """checkpoint of the run: latest, previous, best or an epoch number"""
    average: bool = True
    """push the moving average (EMA) of the weights, if there is one"""
    style_mix: str | None = None
    """for models of several paintings: mixing weights, as starry_night=0.7,irises=0.3"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""

    def check(self) -> None:
        """Raise UsageError if a name, the address or the licence can't be one."""
        check_name(self.name)
        check_license(self.license)
        HubModel.of(self.target)
        if not self.trained_on.strip():
            raise UsageError("--trained_on is empty: say what the pictures are")


def check_license(given: str | None) -> None:
    """Raise UsageError for what is no identifier of a licence."""
    if given is not None and not re.fullmatch(r"[\w.+-]+", given, re.ASCII):
        raise UsageError(
            f"--license {given!r}: give an identifier, such as cc-by-4.0, mit or other "
            "(https://hf.co/docs/hub/repositories-licenses)"
        )
