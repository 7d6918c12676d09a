"""OpenVINO export: an .xml for the network, a .bin beside it for the weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from cyclegan.errors import require_extra
from cyclegan.export.network import Exportable, traced
from cyclegan.runtimes.metadata import PREFIX, Metadata
from cyclegan.runtimes.openvino import SECTION

if TYPE_CHECKING:
    from openvino import Model


def write(given: Exportable, path: Path) -> None:
    """Write `path` and its .bin: one input and output (N, C, H, W). Raises UserError."""
    require_extra("--format openvino", "openvino", "openvino")
    import openvino

    model = openvino.convert_model(traced(given))
    taken = model.get_parameters()[0]
    channels = given.metadata.architecture.input_nc
    taken.set_partial_shape(openvino.PartialShape([-1, channels, -1, -1]))
    taken.set_element_type(openvino.Type.f32)
    model.validate_nodes_and_infer_types()
    model.inputs[0].set_names({"input"})
    model.outputs[0].set_names({"output"})
    _save(model, path, given.metadata)


def quantize(whole: Path, path: Path, images: Sequence[Tensor], metadata: Metadata) -> None:
    """Write `path`, its convolutions in 8 bits calibrated on `images` (1, C, H, W).

    `whole` is the float32 file. Norms and sums stay float: outliers of a feature map take most of 8
    bits, and the norm magnifies the quantization steps of the rest. So do the first and the last
    convolution, where pixels have more than 8 bits. For a ResNet of 64 feature maps and 9 blocks,
    the mean difference is 6.3 levels with everything in 8 bits, 2.3 without norms and sums, 1.2
    without the first and the last convolution, too.
    """
    require_extra("--int8", "openvino", "nncf")
    import nncf
    import openvino

    model = openvino.Core().read_model(whole)
    layers = [
        layer.get_friendly_name()
        for layer in model.get_ordered_ops()
        if layer.get_type_name() == "Convolution"
    ]
    model = nncf.quantize(
        model,
        nncf.Dataset(images, lambda image: image.numpy()),
        subset_size=len(images),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        ignored_scope=nncf.IgnoredScope(
            names=[layers[0], layers[-1]], types=["MVN", "Add", "Multiply"], validate=False
        ),
    )
    _save(model, path, metadata)


def _save(model: "Model", path: Path, metadata: Metadata) -> None:
    import openvino

    for name, text in metadata.texts().items():
        model.set_rt_info(text, [SECTION, name.removeprefix(PREFIX)])
    openvino.save_model(model, path, compress_to_fp16=False)
