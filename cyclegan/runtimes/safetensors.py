"""Weights as safetensors: plain tensors behind a table of texts."""

from pathlib import Path

from torch import Tensor

from cyclegan import checkpoint
from cyclegan.errors import UserError
from cyclegan.packages import need
from cyclegan.runtimes.metadata import Metadata, required
from cyclegan.runtimes.opened import first_line


def read(path: Path) -> tuple[Metadata, dict[str, Tensor]]:
    """What `path` holds: the architecture, and the weights to load into it.

    Raises UserError where the file is missing, damaged or not written by cyclegan export.
    """
    texts, weights = open_file(path)
    metadata = required(texts, path)
    if checkpoint.digest(weights) != metadata.digest:
        raise UserError(f"{path}: damaged: the weights are not those that were exported")
    return metadata, weights


def open_file(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The texts and the tensors of `path`. Raises UserError where it is missing or damaged."""
    need(f"{path}", "safetensors", "safetensors")
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged, or no safetensors ({first_line(error)})") from error
    return texts, weights
