"""Weights as safetensors: plain tensors behind a table of texts."""

from pathlib import Path

from torch import Tensor

from cyclegan import checkpoint
from cyclegan.errors import UserError
from cyclegan.packages import need
from cyclegan.runtimes.metadata import Metadata, from_texts
from cyclegan.runtimes.opened import first_line


def read(path: Path) -> tuple[Metadata | None, dict[str, Tensor]]:
    """What `path` holds: what it says of its network, if anything, and the weights.

    Raises UserError where the file is missing or damaged.
    """
    texts, weights = open_file(path)
    metadata = from_texts(texts, path)
    if metadata is not None and checkpoint.digest(weights) != metadata.digest:
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
