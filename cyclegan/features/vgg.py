"""VGG-19, the field's choice for style: torchvision's layers, and its ImageNet weights."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from cyclegan.download import fetch
from cyclegan.errors import UserError
from cyclegan.features.layered import (
    Affine,
    ConvolutionWeights,
    LayeredNetwork,
    Stage,
    given,
    read_convolutions,
)
from cyclegan.features.network import NoWeightsError

#: Where torchvision has them, with the first digits of the file's SHA-256 in its name.
URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
# Of the colours in [0, 1], as torchvision trained it.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_ALL = 16  # convolutions


def vgg19(weights: Path | None = None) -> LayeredNetwork:
    """Return VGG-19 without its classifier, relu1_1 to relu5_4; downloaded unless a file is given.

    The file may be torchvision's, or one of the normalised kind, whose first convolution of 1x1
    prepares the colours and whose borders are reflected; either may end after any layer. Raises
    NoWeightsError where nothing can be downloaded, UserError where the file is of another network.
    """
    found = _downloaded() if weights is None else read_convolutions(weights, "vgg19")
    prepared = found[0]["weight"].shape[2] == 1
    network = blank(prepared=prepared, count=max(1, len(found) - prepared))
    network.load(found, weights or Path(URL))
    return given(network, weights)


def blank(*, prepared: bool, count: int = _ALL) -> LayeredNetwork:
    """Return the first `count` convolutions before weights are loaded.

    `prepared` is for files of the normalised kind.
    """
    stages = _stages(count, prepared=prepared)
    names = [stage.name for stage in stages]
    return LayeredNetwork(
        "vgg19",
        _halved() if prepared else _normalised(),
        stages,
        content=_known(names, "relu4_2"),
        style=_known(names, "relu1_1 relu2_1 relu3_1 relu4_1 relu5_1"),
        compared=_known(names, "relu2_2 relu3_4 relu4_4"),
    )


def _known(names: Sequence[str], wanted: str) -> tuple[str, ...]:
    """Return those of `wanted` that are in `names`, or the last name if none is."""
    return tuple(name for name in wanted.split() if name in names) or (names[-1],)


def _downloaded() -> list[ConvolutionWeights]:
    """Load torchvision's weights, kept in its folder. Raises NoWeightsError, with the way out."""
    name = URL.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        fetch(URL, path, name.rpartition("-")[2].partition(".")[0])
    except OSError as error:
        raise NoWeightsError(
            f"vgg19: its weights can't be downloaded ({error}): try again, or fetch {URL} "
            "elsewhere and give the file with --feature_weights FILE"
        ) from error
    try:
        return read_convolutions(path, "vgg19")
    except UserError as error:
        raise UserError(f"{error}: delete it to download it again") from None


def _stages(count: int, *, prepared: bool) -> tuple[Stage, ...]:
    """Cut torchvision's layers after each ReLU, whose maps are used since Gatys et al. 2016.

    Simonyan and Zisserman 2014, table 1, column E. To be reflected, a border needs a second pixel.
    """
    from torchvision.models.vgg import cfgs, make_layers

    groups, number = 1, 0
    parts: list[nn.Module] = [nn.Conv2d(3, 3, 1)] if prepared else []
    stages = []
    ends = [place + 1 for place, width in enumerate(cfgs["E"]) if width != "M"]
    for layer in make_layers(cfgs["E"][: ends[:count][-1]]):
        parts.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            groups, number = groups + 1, 0
        elif isinstance(layer, nn.Conv2d) and prepared:
            layer.padding_mode = "reflect"
        elif isinstance(layer, nn.ReLU):
            number += 1
            smallest = 2 ** (groups if prepared else groups - 1)
            stages.append(Stage(f"relu{groups}_{number}", nn.Sequential(*parts), smallest))
            parts = []
    return tuple(stages)


def _normalised() -> Affine:
    """Return the layer from [-1, 1] to the range that torchvision's weights were trained on."""
    shift = [(0.5 - mean) / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)]
    return Affine([0.5 / deviation for deviation in _DEVIATION], shift)


def _halved() -> Affine:
    """Return the layer from [-1, 1] to [0, 1]."""
    return Affine([0.5] * 3, [0.5] * 3)
