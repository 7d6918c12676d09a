"""The table of runtimes, by the names that `--runtime` takes, and the choice of one for a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cyclegan.errors import UsageError, UserError
from cyclegan.runtimes import Provider, Runtime, onnx, openvino
from cyclegan.runtimes.opened import Opened
from cyclegan.runtimes.torch_files import load_exported, load_torchscript
from cyclegan.weights_file import check_trust, ending_of, other_than_weights

OpenFile = Callable[[Path], Opened]

#: The one table of runtimes: what opens files whose content calls for each ending. The first that
#: knows an ending takes it by itself; what none knows is checkpoints and weights, which torch runs.
RUNTIMES: Mapping[Runtime, Mapping[str, OpenFile]] = {
    "torch": {".torchscript": load_torchscript, ".pt2": load_exported},
    "onnxruntime": {".onnx": onnx.load},
    "openvino": {".xml": openvino.load, ".onnx": openvino.load},
}


@dataclass(frozen=True)
class Choice:
    """The runtime of a file, and its loader."""

    runtime: Runtime
    load: OpenFile


def choose(
    path: Path, runtime: Runtime, provider: Provider = "auto", *, trust_code: bool
) -> Choice | None:
    """Return the runtime for `path` by the file's content; None for weights without a network.

    `provider` is onnxruntime's. Raises UserError if the file is a program and `trust_code` is not
    given, UsageError if `runtime` can't open such files.
    """
    check_trust(path, trust_code=trust_code)
    other = other_than_weights(path) if path.is_file() else None
    if other is not None:
        raise UserError(f"{path}: {other}")
    ending = ending_of(path)
    for name, loaders in RUNTIMES.items():
        if runtime in ("auto", name) and ending in loaders:
            return Choice(name, _by(provider, loaders[ending]))
    known = [ending for loaders in RUNTIMES.values() for ending in loaders]
    if runtime == "auto" or (runtime == "torch" and ending not in known):
        if provider != "auto":
            raise _no_provider(provider)
        return None
    raise UsageError(
        f"--runtime {runtime}: opens {', '.join(RUNTIMES[runtime])}, not {path}; "
        "cyclegan export writes them"
    )


def _by(provider: Provider, load: OpenFile) -> OpenFile:
    """Return the loader bound to `provider`. Raises UsageError if it takes no providers."""
    if provider == "auto":
        return load
    if load is not onnx.load:
        raise _no_provider(provider)
    return partial(onnx.load, provider=provider)


def _no_provider(provider: Provider) -> UsageError:
    return UsageError(
        f"--provider {provider}: goes with --runtime onnxruntime and an .onnx: leave the flag out"
    )


def parts(path: Path) -> tuple[Path, ...]:
    """Return the files that belong to `path`, itself included: an IR of OpenVINO is two."""
    return (path, path.with_suffix(".bin")) if path.suffix.lower() == ".xml" else (path,)
