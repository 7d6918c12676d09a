"""OpenVINO's IR (.xml with its .bin beside it) and ONNX files, run by OpenVINO."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cyclegan.errors import UserError, in_one_line, require_extra
from cyclegan.runtimes.metadata import PREFIX, Metadata, from_texts
from cyclegan.runtimes.opened import Opened, Side, assume, first_line

if TYPE_CHECKING:
    from openvino import Model

#: Place in the IR's own table of what it was made of.
SECTION = PREFIX.removesuffix(".")


def load(path: Path) -> Opened:
    """Open `path` with as many threads as torch has. Raises UserError if it can't be run."""
    require_extra("--runtime openvino", "openvino", "openvino")
    import openvino

    beside = path.with_suffix(".bin")
    if path.suffix == ".xml" and not beside.is_file():
        raise UserError(f"{beside}: no such file; it holds the weights of {path.name}")
    core = openvino.Core()
    try:
        model = core.read_model(path)
        kind = model.inputs[0].get_element_type()
        if kind != openvino.Type.f32:
            raise UserError(f"{path}: takes {kind.get_type_name()}, only float32 is supported")
        metadata = from_texts(_texts(model), path)
        metadata = metadata or assume(_shapes(model.inputs), _shapes(model.outputs), path)
        compiled = core.compile_model(model, "CPU", _options(metadata))
    except UserError:
        raise
    except Exception as error:  # XML, weights, operators, versions
        raise UserError(
            f"{path}: damaged, or not a network that OpenVINO can run ({_reason(error)})"
        ) from error
    request = compiled.create_infer_request()

    def call(images: Tensor) -> Tensor:
        return torch.from_numpy(request.infer([images.numpy()])[0].copy())

    return Opened(call, metadata)


def _options(metadata: Metadata) -> dict[str, Any]:
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    if metadata.arithmetic == "fp32":
        options["INFERENCE_PRECISION_HINT"] = "f32"  # else bfloat16 where the CPU has it
    return options


def _texts(model: "Model") -> dict[str, str]:
    """Return the texts of an IR from its own section, of an ONNX file from "framework"."""
    own = {f"{PREFIX}{name}": text for name, text in _section(model, SECTION).items()}
    return _section(model, "framework") | own


def _section(model: "Model", name: str) -> dict[str, str]:
    if not model.has_rt_info([name]):
        return {}
    return {key: str(text) for key, text in model.get_rt_info([name]).value.items()}


def _shapes(ports: Any) -> list[list[Side]]:
    return [
        [side.get_length() if side.is_static else None for side in port.partial_shape]
        for port in ports
    ]


def _reason(error: Exception) -> str:
    """Return the error's last line, as the first one names places in OpenVINO's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return in_one_line(lines[-1]) if lines else first_line(error)
