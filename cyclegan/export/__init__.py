"""Export of a trained generator as a file for other runtimes, and its settings."""

from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT
from cyclegan.run import FolderDirection, check_name

FormatName = Literal["onnx", "torchscript", "torch-export", "classic", "safetensors", "openvino"]


@dataclass(frozen=True, config=STRICT)
class ExportSettings:
    """Generator to export, file format and 8-bit quantization."""

    format: FormatName
    """onnx, torchscript, torch-export or openvino hold the network, for images of any size;
    safetensors its weights; classic its weights as the classic scripts read them. torchscript and
    torch-export files are programs: whoever opens them has to trust them (--trust_code)"""
    name: str | None = None
    """name of the run to export"""
    weights: Path | None = None
    """file to export instead: a checkpoint, safetensors, or a generator of the classic scripts; or
    a folder, of a run or of the classic's files"""
    trust_code: bool = False
    """open --weights that are a program, too (TorchScript, torch.export): they can do anything
    here, so only what you trust"""
    epoch: str = "latest"
    """which checkpoint of the run: latest, previous, best or an epoch's number"""
    direction: FolderDirection | None = None
    """AtoB or BtoA; by default the direction that was trained"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    style_mix: str | None = None
    """of a model of several paintings: which, with their shares: starry_night=0.7,irises=0.3"""
    style: tuple[Path, ...] = ()
    """of a fusion model: pictures whose style the file shall give, one or several"""
    style_weights: tuple[NonNegativeFloat, ...] = ()
    """how much of each --style, for example 0.7 0.3; by default as much of each"""
    average: bool = True
    """export the weights averaged over the training's steps, where there are any"""
    output: Path | None = None
    """file to write; by default beside the weights. An openvino .xml has a .bin beside it, every
    other format is one file"""
    overwrite: bool = False
    """replace a file that is there already"""
    int8: bool = False
    """compute the convolutions in 8 bits (onnx and openvino); needs --calibration"""
    calibration: Path | None = None
    """folder of images as they are to be converted, by which the 8 bits are laid out"""
    calibration_images: PositiveInt = 24
    """take at most so many of them; the last four are measured with instead"""
    load_size: PositiveInt = 256
    """scale the calibration images' shorter side to so many pixels"""

    def check(self) -> None:
        """Raise UsageError if settings contradict each other."""
        if (self.name is None) == (self.weights is None):
            raise UsageError("give either --name RUN or --weights FILE to export")
        if self.name is not None:
            check_name(self.name)
        one_file = self.weights is not None and not self.weights.is_dir()
        if one_file and self.epoch != "latest":
            raise UsageError(f"--epoch {self.epoch} goes with --name; --weights names one file")
        if self.int8 and self.calibration is None:
            raise UsageError("--int8 needs --calibration DIR: a folder of images to be converted")
        if self.calibration is not None and not self.int8:
            raise UsageError(f"--calibration {self.calibration} goes with --int8")
