"""ONNX export: one file for onnxruntime, OpenVINO, browsers and phones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan.errors import require_extra
from cyclegan.export.network import Exportable, program
from cyclegan.runtimes.metadata import Metadata


def write(given: Exportable, path: Path) -> None:
    """Write `path`: input "input", output "output", (N, C, H, W). Raises UserError."""
    require_extra("--format onnx", "onnx", "onnx", "onnxscript", "onnxruntime")
    from onnx_ir import Shape

    made = torch.onnx.export(
        program(given), input_names=["input"], output_names=["output"], dynamo=True, verbose=False
    )
    assert made is not None
    graph, architecture = made.model.graph, given.metadata.architecture
    graph.inputs[0].shape = Shape(["batch", architecture.input_nc, "height", "width"])
    graph.outputs[0].shape = Shape(["batch", architecture.output_nc, "height", "width"])
    made.model.metadata_props.update(given.metadata.texts())
    made.save(path, external_data=False)


def quantize(whole: Path, path: Path, images: Sequence[Tensor], metadata: Metadata) -> None:
    """Write `path`, its convolutions in 8 bits calibrated on `images` (1, C, H, W).

    `whole` is the float32 file. The first and the last convolution stay float32, and so do norms
    and transposed convolutions, for which onnxruntime has no 8-bit kernels.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    names = [node.name for node in onnx.load(whole).graph.node if node.op_type == "Conv"]
    quantize_static(
        whole,
        path,
        _Reader(images),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[names[0], names[-1]],
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata.texts())
    onnx.save(model, path)


class _Reader:
    """Calibration reader that hands out images one by one, as onnxruntime asks for them."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next image by the input's name; None after the last."""
        image = next(self._images, None)
        return None if image is None else {"input": image.numpy()}
