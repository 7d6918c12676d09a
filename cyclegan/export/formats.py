"""Export formats by the names that `--format` takes, and the writers of those made by torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from cyclegan import checkpoint
from cyclegan.classic import Architecture
from cyclegan.errors import UserError, require_extra
from cyclegan.export import FormatName, onnx, openvino, web
from cyclegan.export.network import Exportable, program, traced
from cyclegan.generators import GENERATORS, ResnetSettings
from cyclegan.runtimes.metadata import Metadata, pack

Quantize = Callable[[Path, Path, Sequence[Tensor], Metadata], None]


@dataclass(frozen=True)
class Folder:
    """A format that is a folder: what it holds beside the network, and how it is known again."""

    network: str
    """name of the network's file in it"""
    runtime: Callable[[Path | None], Path]
    """--assets -> the folder of files that run the network"""
    is_one: Callable[[Path], bool]
    """whether a folder was written by this format, with nothing of the user's in it"""


@dataclass(frozen=True)
class ExportFormat:
    """One format; `convert` recognizes a file by the ending."""

    ending: str
    write: Callable[[Exportable, Path], None]
    quantize: Quantize | None = None
    """float32 file -> int8 file; None if not supported"""
    folder: Folder | None = None
    """None if it is a file"""


def _write_torchscript(given: Exportable, path: Path) -> None:
    """Write a TorchScript program for C++, phones and old versions of torch."""
    traced(given).save(str(path), _extra_files=pack(given.metadata.texts()))


def _write_torch_export(given: Exportable, path: Path) -> None:
    """Write the graph for torch itself, its compilers and ExecuTorch."""
    torch.export.save(program(given), path, extra_files=pack(given.metadata.texts()))


def _write_safetensors(given: Exportable, path: Path) -> None:
    """Write the weights and their metadata, which hold no code whoever made them."""
    generator = given.metadata.architecture.generator.netG
    if generator not in GENERATORS:
        raise UserError(
            f"--format safetensors: holds only weights, and a {generator} model needs its styles: "
            "give another --format"
        )
    require_extra("--format safetensors", "safetensors", "safetensors")
    from safetensors.torch import save

    weights = {name: tensor.contiguous() for name, tensor in given.network.state_dict().items()}
    metadata = replace(given.metadata, digest=checkpoint.digest(weights))
    path.write_bytes(save(weights, metadata=metadata.texts()))  # its own files are private


def _write_classic(given: Exportable, path: Path) -> None:
    """Write the state dict alone. Raises UserError if the classic scripts can't build it."""
    other = _unknown(given.metadata.architecture)
    if other:
        raise UserError(
            f"--format classic: the classic scripts can't build this generator ({other}): give "
            "another --format"
        )
    # torch reads the older layout in every version, the newer one from 1.6.
    torch.save(given.network.state_dict(), path, _use_new_zipfile_serialization=False)


def _unknown(architecture: Architecture) -> str | None:
    """Return the first property of the generator that the classic lacks; None if there is none."""
    generator = architecture.generator
    if not isinstance(generator, ResnetSettings):
        return generator.netG
    if architecture.norm == "instance_affine":
        return "affine normalization layers"
    if generator.n_blocks not in (6, 9):
        return f"{generator.n_blocks} blocks, not 6 or 9"
    ways = {
        f"--upsampling {generator.upsampling}": generator.upsampling != "transposed",
        f"--downsampling {generator.downsampling}": generator.downsampling != "strided",
        "--residual": generator.residual,
        "--separable": generator.separable,
    }
    return next((way for way, differs in ways.items() if differs), None)


#: The one table of formats.
FORMATS: Mapping[FormatName, ExportFormat] = {
    "onnx": ExportFormat(".onnx", onnx.write, onnx.quantize),
    "torchscript": ExportFormat(".torchscript", _write_torchscript),
    "torch-export": ExportFormat(".pt2", _write_torch_export),
    "classic": ExportFormat(".pth", _write_classic),
    "safetensors": ExportFormat(".safetensors", _write_safetensors),
    "openvino": ExportFormat(".xml", openvino.write, openvino.quantize),
    "web": ExportFormat("_web", web.write, folder=Folder(web.NETWORK, web.runtime, web.is_web)),
}
