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
    torch-export files contain code: loading them requires trust (--trust_code)"""
    name: str | None = None
    """name of the run to export"""
    weights: Path | None = None
    """file to export instead: a checkpoint, safetensors, or a generator of the classic scripts; or
    a folder, of a run or of the classic's files"""
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
    """output file; by default next to the weights. An openvino .xml has a .bin next to it, every
    other format is one file"""
    overwrite: bool = False
    """overwrite an existing file"""
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
        one_file = self.weights is not None and not self.weights.is_dir()
        if one_file and self.epoch != "latest":
            raise UsageError(f"--epoch {self.epoch} goes with --name; --weights names one file")
        if self.int8 and self.calibration is None:
            raise UsageError("--int8 needs --calibration DIR: a folder of images to be converted")
        if self.calibration is not None and not self.int8:
            raise UsageError(f"--calibration {self.calibration} goes with --int8")
