"""A small network of five convolutions, for style without anything learned before."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from cyclegan.features.convolutions import Convolution, empty, foreign, read_convolutions
from cyclegan.features.layered import Affine, LayeredNetwork, Stage, given

WIDTHS = (64, 128, 256, 512, 64)
SEED = 0  # of the random weights, which are the same everywhere


def plain(weights: Path | None = None) -> LayeredNetwork:
    """Five 3x3 convolutions with ReLU, and 2x2 max pooling between them: conv1 to conv5.

    Without `weights` they are random, which is enough for textures (Ustyuzhaninov et al. 2016,
    "Texture Synthesis Using Shallow Convolutional Networks with Random Filters"). Raises UserError
    where `weights` is no file of such convolutions.
    """
    found = _random() if weights is None else read_convolutions(weights, "plain")
    if weights is not None and [one.weight.shape for one in found] != _shapes():
        raise foreign(weights, "plain")
    return given(_network(found, 1.0 if weights else 4.0), weights)


def blank() -> LayeredNetwork:
    """The network before weights are loaded."""
    return _network([empty(seen, made, 3) for seen, made in pairwise((3, *WIDTHS))])


def _network(found: Sequence[Convolution], scale: float = 1.0) -> LayeredNetwork:
    names = tuple(f"conv{number + 1}" for number in range(len(WIDTHS)))
    return LayeredNetwork(
        "plain",
        Affine([1.0] * 3, [0.0] * 3),
        _stages(names, found),
        content=("conv4",),
        style=names,
        compared=names[1:4],
        scale=scale,
    )


def _shapes() -> list[torch.Size]:
    return [
        torch.Size((made, seen, 3, 3)) for seen, made in zip((3, *WIDTHS), WIDTHS, strict=False)
    ]


def _random() -> list[Convolution]:
    """He et al. 2015: values stay as large from layer to layer."""
    generator = torch.Generator().manual_seed(SEED)
    made = []
    for shape in _shapes():
        scale = (2 / (shape[1] * 9)) ** 0.5
        made.append(
            Convolution(torch.randn(shape, generator=generator) * scale, torch.zeros(shape[0]))
        )
    return made


def _stages(names: Sequence[str], found: Sequence[Convolution]) -> tuple[Stage, ...]:
    stages = []
    for number, (name, one) in enumerate(zip(names, found, strict=True)):
        before = [nn.MaxPool2d(2)] if number else []
        module = nn.Sequential(*before, one.layer(), nn.ReLU(inplace=True))
        stages.append(Stage(name, module, 2**number))
    return tuple(stages)
