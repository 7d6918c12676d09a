"""Adaptive instance normalisation: content takes on the style's mean and deviation."""

import torch
from torch import Tensor, nn

_TINY = 1e-12  # variance below which a feature says nothing of the content


class AdaIN(nn.Module):
    """Content maps (N, C, h, w), style maps (N, C, h', w') -> maps (N, C, h, w); no weights.

    Huang and Belongie 2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization", equation 8.
    """

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        mean, deviation = _moments(style)
        return normalized(content) * deviation + mean


def normalized(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> the same with mean 0 and deviation 1 of each feature; 0 where it is flat."""
    mean, deviation = _moments(maps)
    return (maps - mean) / deviation


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature, (N, C, 1, 1)."""
    variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True, correction=0)
    return mean, variance.clamp_min(_TINY).sqrt()
