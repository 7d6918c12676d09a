"""Formats by the names that `--format` takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cyclegan.export import classic, onnx, openvino, safetensors, torch_export, torchscript
from cyclegan.export.network import Exportable
from cyclegan.export.settings import FormatName
from cyclegan.runtimes.metadata import Metadata

Quantize = Callable[[Path, Path, Sequence[Tensor], Metadata], None]


@dataclass(frozen=True)
class Format:
    """One kind of file. `convert` reads it back by its ending."""

    ending: str
    write: Callable[[Exportable, Path], None]
    quantize: Quantize | None = None
    """from the float32 file, another that computes in 8 bits; None where there is no such"""


#: The one table of formats.
FORMATS: Mapping[FormatName, Format] = {
    "onnx": Format(".onnx", onnx.write, onnx.quantize),
    "torchscript": Format(".torchscript", torchscript.write),
    "torch-export": Format(".pt2", torch_export.write),
    "classic": Format(".pth", classic.write),
    "safetensors": Format(".safetensors", safetensors.write),
    "openvino": Format(".xml", openvino.write, openvino.quantize),
}
