"""Files of torch.export and TorchScript, run by torch."""

import io
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch.export import ExportedProgram

from cyclegan.errors import UserError
from cyclegan.runtimes.metadata import NAME, required, unpack
from cyclegan.runtimes.opened import Opened, first_line


def load_exported(path: Path) -> Opened:
    """Open `path`, which runs code in it. Raises UserError if it can't be run."""
    program, texts = open_exported(path)
    # Not as a module itself: one of torch.export refuses eval().
    return Opened(program.module().forward, required(texts, path))


def open_exported(path: Path) -> tuple[ExportedProgram, dict[str, str]]:
    """Return the network and its metadata's texts. Raises UserError for another file.

    Torch evaluates the expressions of the file's sides as Python; pickles and libraries in it are
    refused.
    """
    files: dict[str, str | bytes] = {NAME: ""}
    quiet = logging.getLogger("torch.export")
    level = quiet.level
    try:
        _refuse_code(path)
        quiet.setLevel(logging.CRITICAL)  # what fails is said below, in one line
        program = torch.export.load(path, extra_files=files)
    except UserError:
        raise
    except Exception as error:  # the archive, its tables, operators
        raise UserError(
            f"{path}: damaged, or not a torch.export file ({first_line(error)})"
        ) from error
    finally:
        quiet.setLevel(level)
    return program, unpack(files)


def _refuse_code(path: Path) -> None:
    """Raise UserError if torch would unpickle objects or load a compiled library.

    Torch writes weights as plain bytes and only the sample input as a pickle, which it reads
    without checking that it is harmless.
    """
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise UserError(f"{path}: damaged ({broken})")
        for name in archive.namelist():
            inner = name.partition("/")[2]
            if not _PLAIN.fullmatch(inner):
                raise UserError(f"{path}: holds {inner}, which could be code: not opened")
            if inner.endswith("_config.json"):
                table = json.loads(archive.read(name))
                if any(entry["use_pickle"] for entry in table["config"].values()):
                    raise UserError(f"{path}: holds pickled objects in {inner}: not opened")
            if inner.endswith(".pt"):
                torch.load(io.BytesIO(archive.read(name)), weights_only=True)


#: All that `torch.export.save` writes for a network of plain tensors.
_PLAIN = re.compile(
    r"data/(weights/weight_\d+|constants/tensor_\d+|sample_inputs/model\.pt"
    r"|(weights|constants)/model_(weights|constants)_config\.json)"
    r"|models/model\.json|extra/[^/]+|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)|\.format_version|\.storage_alignment"
)


def load_torchscript(path: Path) -> Opened:
    """Open `path`, which runs code in it. Raises UserError if it can't be run."""
    network, texts = open_torchscript(path)
    network.eval()
    return Opened(lambda images: network(images), required(texts, path))


def open_torchscript(path: Path) -> tuple[torch.jit.ScriptModule, dict[str, str]]:
    """Return the network and its metadata's texts. Raises UserError if it is no TorchScript."""
    files: dict[str, str | bytes] = {NAME: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is called deprecated
            load_script = cast(Callable[..., torch.jit.ScriptModule], torch.jit.load)
            network = load_script(path, map_location="cpu", _extra_files=files)
    except Exception as error:  # the archive, the code, operators
        raise UserError(f"{path}: damaged, or not TorchScript ({first_line(error)})") from error
    return network, unpack(files)
