"""What of a layer's maps is style."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.losses.perceptual import StyleKind

_TINY = 1e-5  # keeps the deviation's gradient finite where a feature is the same everywhere


def gram(maps: Tensor) -> Tensor:
    """Maps (N, C, h, w) -> how much any two features go together, (N, C, C).

    Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks", equation 3, over
    h * w places and the root of C: with the 1 / C of `style`, layers count as in Johnson et al.
    2016, section 3.2, whatever the number of their places and features.
    """
    features = maps.flatten(2)
    channels, places = features.shape[1:]
    scale: float = places * channels**0.5
    return features @ features.transpose(1, 2) / scale


def statistics(maps: Tensor) -> Tensor:
    """Maps (N, C, h, w) -> mean and standard deviation of each feature, (N, C, 2).

    Huang and Belongie 2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization", equation 13.
    """
    variance, mean = torch.var_mean(maps.flatten(2), dim=2, correction=0)
    return torch.stack([mean, (variance + _TINY).sqrt()], dim=2)


def _themselves(maps: Tensor) -> Tensor:
    return maps


def _squares(made: Tensor, wanted: Tensor) -> Tensor:
    """(N, C, ...) twice -> the sum of squared differences of each image, (N,)."""
    return (made - wanted).square().flatten(1).sum(1)


def _squares_by_place(made: Tensor, wanted: Tensor) -> Tensor:
    """The same of maps (N, C, h, w), a mean over places; `wanted` is scaled to `made`'s size."""
    if made.shape[2:] != wanted.shape[2:]:
        size = (made.shape[2], made.shape[3])
        wanted = functional.interpolate(wanted, size, mode="bilinear", align_corners=False)
    return _squares(made, wanted) / (made.shape[2] * made.shape[3])


@dataclass(frozen=True)
class Style:
    """One kind of style."""

    of: Callable[[Tensor], Tensor]
    """maps (N, C, h, w) -> what is compared of them, (N, C, ...)"""
    squares: Callable[[Tensor, Tensor], Tensor] = _squares
    """of two of these: ||S - G||^2 of each image, (N,)"""


#: The one table of kinds of style (`--style_kind`).
STYLES: dict[StyleKind, Style] = {
    "gram": Style(gram),
    "statistics": Style(statistics),
    # Of pictures whose places mean the same; textures lose their freedom.
    "maps": Style(_themselves, _squares_by_place),
}
