"""Normalisation layers by name."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers.convolution import is_channels_last
from cyclegan.layers.settings import Norm


class InstanceNorm(nn.Module):
    """Mean 0 and variance 1 in every channel of every image; (N, C, H, W), no weights.

    Ulyanov et al. 2016, "Instance Normalization". Statistics are float32 at least. With channels
    last the images go through batch normalisation one by one: torch's own instance_norm is slower
    there, and its gradient is not to be trusted for a single image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_dynamo_compiling():  # not while exporting: runtimes know the norm
            return _normalized(input)  # the compiler fuses it with what stands around it
        if not is_channels_last(input):
            return functional.instance_norm(input)
        images = [
            functional.batch_norm(one, None, None, training=True) for one in torch.split(input, 1)
        ]
        return images[0] if len(images) == 1 else torch.cat(images)

    def extra_repr(self) -> str:
        return str(self.channels)


def _normalized(images: Tensor) -> Tensor:
    full = images if images.dtype == torch.float64 else images.float()
    variance, mean = torch.var_mean(full, dim=(2, 3), keepdim=True, correction=0)
    return ((full - mean) * torch.rsqrt(variance + 1e-5)).to(images.dtype)


class Scale(nn.Module):
    """Every channel times a weight of its own, and a bias added; (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = (each.to(input.dtype).view(1, -1, 1, 1) for each in (self.weight, self.bias))
        return input * weight + bias


NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "instance": InstanceNorm,
    "instance_affine": lambda channels: nn.Sequential(InstanceNorm(channels), Scale(channels)),
    "batch": nn.BatchNorm2d,
    "none": lambda channels: nn.Identity(),
}


def convolution_has_bias(norm: Norm) -> bool:
    """Whether convolutions before this norm carry a bias: as in the classic, only for instance."""
    return norm in ("instance", "instance_affine")
