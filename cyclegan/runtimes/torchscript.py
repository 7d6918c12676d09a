"""TorchScript files, run by torch."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch

from cyclegan.errors import UserError
from cyclegan.runtimes.metadata import required
from cyclegan.runtimes.opened import Opened, first_line
from cyclegan.runtimes.texts import NAME, unpack


def load(path: Path) -> Opened:
    """Open `path`, which runs code in it. Raises UserError where it can't be run."""
    network, texts = open_file(path)
    network.eval()
    return Opened(lambda images: network(images), required(texts, path))


def open_file(path: Path) -> tuple[torch.jit.ScriptModule, dict[str, str]]:
    """The network, and the metadata beside it. Raises UserError where it is no TorchScript."""
    files: dict[str, str | bytes] = {NAME: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is called deprecated
            load_script = cast(Callable[..., torch.jit.ScriptModule], torch.jit.load)
            network = load_script(path, map_location="cpu", _extra_files=files)
    except Exception as error:  # the archive, the code, operators
        raise UserError(f"{path}: damaged, or no TorchScript ({first_line(error)})") from error
    return network, unpack(files)
