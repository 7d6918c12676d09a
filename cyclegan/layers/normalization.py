"""Normalisation layers by name."""

from collections.abc import Callable

from torch import nn

from cyclegan.layers.settings import Norm

NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "instance": lambda channels: nn.InstanceNorm2d(
        channels, affine=False, track_running_stats=False
    ),
    "batch": nn.BatchNorm2d,
    "none": lambda channels: nn.Identity(),
}


def convolution_has_bias(norm: Norm) -> bool:
    """Whether convolutions before this norm carry a bias: as in the classic, only for instance."""
    return norm == "instance"
