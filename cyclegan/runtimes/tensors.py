"""The tensors in a file of weights, however they are packed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cyclegan.checkpoint import load_plain
from cyclegan.contents import check_trust, ending_of
from cyclegan.runtimes import safetensors, torch_export, torchscript


def _inner(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Without what an exported network is wrapped in, so that it takes any size."""
    return {name.removeprefix("network."): tensor for name, tensor in weights.items()}


#: What is no pickle of plain tensors, by the ending that its content calls for.
_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".safetensors": lambda path: safetensors.open_file(path)[1],
    ".torchscript": lambda path: _inner(torchscript.open_file(path)[0].state_dict()),
    ".pt2": lambda path: _inner(torch_export.open_file(path)[0].state_dict),
}


def read_tensors(path: Path, *, trust_code: bool) -> Any:
    """Return tensors and plain builtins, as the file groups them.

    Raises UserError where it is missing or damaged, or a program and `trust_code` is not given.
    """
    check_trust(path, trust_code=trust_code)
    return _READERS.get(ending_of(path), load_plain)(path)
