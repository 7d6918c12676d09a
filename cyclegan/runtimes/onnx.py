"""ONNX files, run by onnxruntime."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan.errors import UsageError, UserError, require_extra
from cyclegan.runtimes import Provider
from cyclegan.runtimes.metadata import from_texts
from cyclegan.runtimes.opened import Opened, Side, assume, first_line

#: The one table of providers: those that a flag names, before those that stand in for what they
#: can't compute. TensorRT prepares for minutes: it is never taken unasked.
PROVIDERS: Mapping[Provider, tuple[str, ...]] = {
    "auto": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}


def load(path: Path, provider: Provider = "auto") -> Opened:
    """Open `path` with as many threads as torch has. Raises UserError if it can't be run."""
    require_extra("--runtime onnxruntime", "onnx", "onnxruntime")
    import onnxruntime

    providers = _those_of(provider, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what fails is said below, in one line
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        texts = session.get_modelmeta().custom_metadata_map
        inputs, outputs = session.get_inputs(), session.get_outputs()
        shapes = _shapes(inputs), _shapes(outputs)
        taken = [(value.name, value.type) for value in inputs]
    except Exception as error:  # protobuf, operators, versions, names that are no text
        raise UserError(
            f"{path}: damaged, or not an ONNX model that onnxruntime can run ({first_line(error)})"
        ) from error
    if provider != "auto" and providers[0] not in session.get_providers():
        raise UserError(
            f"--provider {provider}: onnxruntime could not load it (a library is missing, or of "
            "another version): --provider cpu runs without it"
        )
    if len(inputs) != 1 or not outputs:
        raise UserError(f"{path}: expected a network with one input, this takes {len(inputs)}")
    ((name, kind),) = taken
    if kind != "tensor(float)":
        raise UserError(f"{path}: takes {kind}, only float32 is supported")
    metadata = from_texts(texts, path) or assume(*shapes, path)

    def call(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: images.numpy()})[0])

    return Opened(call, metadata)


def _those_of(provider: Provider, available: Sequence[str]) -> list[str]:
    """Return onnxruntime's providers, the preferred one first. Raises UsageError."""
    wanted = PROVIDERS[provider]
    if provider != "auto" and wanted[0] not in available:
        raise UsageError(
            f"--provider {provider}: this onnxruntime has {', '.join(available)}: install "
            "onnxruntime-gpu in its place, or leave the flag out"
        )
    return [name for name in wanted if name in available]


def _shapes(values: Any) -> list[list[Side]]:
    return [[side if isinstance(side, int) else None for side in value.shape] for value in values]
