"""Weights as safetensors, tensors behind a table of texts; and tensors of any weights file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from cyclegan import checkpoint
from cyclegan.checkpoint import load_plain
from cyclegan.errors import UserError, require_extra
from cyclegan.runtimes.metadata import Metadata, from_texts
from cyclegan.runtimes.opened import first_line
from cyclegan.runtimes.torch_files import open_exported, open_torchscript
from cyclegan.weights_file import ArchiveError, check_content, check_trust, ending_of


def read(path: Path) -> tuple[Metadata | None, dict[str, Tensor]]:
    """Read the metadata, if any, and the weights of `path`.

    Raises UserError if the file is missing or damaged.
    """
    texts, weights = open_file(path)
    metadata = from_texts(texts, path)
    if metadata is not None and checkpoint.digest(weights) != metadata.digest:
        raise UserError(f"{path}: damaged: the weights don't match their checksum")
    return metadata, weights


def open_file(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the texts and the tensors of `path`. Raises UserError if it is missing or damaged."""
    require_extra(f"{path}", "safetensors", "safetensors")
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        check_content(weights, path)
    except (SafetensorError, OSError, ArchiveError) as error:
        raise UserError(f"{path}: damaged, or not safetensors ({first_line(error)})") from error
    return texts, weights


def _inner(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the prefix of the wrapper that lets an exported network take any size."""
    return {name.removeprefix("network."): tensor for name, tensor in weights.items()}


#: What is no pickle of plain tensors, by the ending that its content calls for.
_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".safetensors": lambda path: open_file(path)[1],
    ".torchscript": lambda path: _inner(open_torchscript(path)[0].state_dict()),
    ".pt2": lambda path: _inner(open_exported(path)[0].state_dict),
}


def read_tensors(path: Path, *, trust_code: bool) -> Any:
    """Return tensors and plain builtins, as the file groups them.

    Raises UserError if the file is missing or damaged, or a program and `trust_code` is not given.
    """
    check_trust(path, trust_code=trust_code)
    return _READERS.get(ending_of(path), load_plain)(path)
