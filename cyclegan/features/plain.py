"""A small network of five convolutions, for style without anything learned before."""

from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from cyclegan.features.layered import (
    Affine,
    ConvolutionWeights,
    LayeredNetwork,
    Stage,
    given,
    read_convolutions,
)

WIDTHS = (64, 128, 256, 512, 64)
SEED = 0  # of the random weights, which are the same everywhere
_NAMES = tuple(f"conv{number + 1}" for number in range(len(WIDTHS)))


def plain(weights: Path | None = None) -> LayeredNetwork:
    """Five 3x3 convolutions with ReLU, and 2x2 max pooling between them: conv1 to conv5.

    Without `weights` they are random, which is enough for textures (Ustyuzhaninov et al. 2016,
    "Texture Synthesis Using Shallow Convolutional Networks with Random Filters"). Raises UserError
    where `weights` is no file of such convolutions.
    """
    if weights is None:
        network = blank(scale=4.0)
        network.load(_random(), Path("plain"))
        return network
    network = blank()
    network.load(read_convolutions(weights, "plain"), weights)
    return given(network, weights)


def blank(scale: float = 1.0) -> LayeredNetwork:
    """Return the network before weights are loaded."""
    return LayeredNetwork(
        "plain",
        Affine([1.0] * 3, [0.0] * 3),
        _stages(),
        content=("conv4",),
        style=_NAMES,
        compared=_NAMES[1:4],
        scale=scale,
    )


def _random() -> list[ConvolutionWeights]:
    """He et al. 2015: values stay as large from layer to layer."""
    generator = torch.Generator().manual_seed(SEED)
    made: list[ConvolutionWeights] = []
    for seen, width in pairwise((3, *WIDTHS)):
        weight = torch.randn(width, seen, 3, 3, generator=generator) * (2 / (seen * 9)) ** 0.5
        made.append({"weight": weight, "bias": torch.zeros(width)})
    return made


def _stages() -> tuple[Stage, ...]:
    stages = []
    for number, (seen, width) in enumerate(pairwise((3, *WIDTHS))):
        before = [nn.MaxPool2d(2)] if number else []
        layers = (*before, nn.Conv2d(seen, width, 3, padding=1), nn.ReLU(inplace=True))
        stages.append(Stage(_NAMES[number], nn.Sequential(*layers), 2**number))
    return tuple(stages)
