"""Fusion modules by the names that `--fusion` takes: how content takes on a style."""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers.convolution import Convolution
from cyclegan.recipes.fusion import FusionName

_FLAT = 1e-12  # variance below which a feature says nothing of the content
# Of the largest eigenvalue: directions that hold less are noise, and whitening would blow it up.
_FLOOR = 1e-6


class AdaIN(nn.Module):
    """Adaptive instance normalisation, without weights.

    Content maps (N, C, h, w), style maps (N, C, h', w') -> maps (N, C, h, w). Huang and Belongie
    2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", equation 8.
    """

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        mean, deviation = _moments(style)
        return normalized(content) * deviation + mean


class Attention(nn.Module):
    """Attention of content to style, with trained weights.

    Content maps (N, C, h, w), style maps (N, C, h', w') -> maps (N, C, h, w). Park and Lee 2019,
    "Arbitrary Style Transfer with Style-Attentional Networks", section 3.2; similarities are
    divided by the root of C, as Vaswani et al. 2017 do.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.join = (
            Convolution(channels, channels, 1) for _ in range(4)
        )

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        style = style.expand(len(content), -1, -1, -1)
        query = _places(self.query(normalized(content)))
        key, value = _places(self.key(normalized(style))), _places(self.value(style))
        seen = functional.scaled_dot_product_attention(query, key, value)
        return cast(Tensor, content + self.join(seen.transpose(1, 2).reshape(content.shape)))


class WhiteningColouring(nn.Module):
    """Whitening of the content and colouring by the style, without weights.

    Content maps (N, C, h, w), style maps (N, C, h', w') -> maps (N, C, h, w). Li et al. 2017,
    "Universal Style Transfer via Feature Transforms", section 3.2. Computed in float64:
    eigenvectors of nearly equal eigenvalues are as good as random in less.
    """

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        device = "cpu" if content.device.type == "mps" else content.device  # has no float64
        flat = content.to(device, torch.float64).flatten(2)
        wanted = style.to(device, torch.float64).flatten(2)
        whitened = _root(_covariance(flat), -0.5) @ _centred(flat)
        coloured = _root(_covariance(wanted), 0.5) @ whitened
        made = coloured + wanted.mean(2, keepdim=True)
        return made.to(content.device, content.dtype).view_as(content)


#: The one table of fusion modules. Each entry takes the number of features C and gives a module:
#: content maps (N, C, h, w), style maps (N or 1, C, h', w') -> maps (N, C, h, w).
FUSIONS: Mapping[FusionName, Callable[[int], nn.Module]] = {
    "adain": lambda channels: AdaIN(),
    "wct": lambda channels: WhiteningColouring(),
    "attention": Attention,
}


def normalized(maps: Tensor) -> Tensor:
    """Normalise each feature of (N, C, h, w) to mean 0 and deviation 1; 0 where it is flat."""
    mean, deviation = _moments(maps)
    return (maps - mean) / deviation


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each feature, (N, C, 1, 1)."""
    variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True, correction=0)
    return mean, variance.clamp_min(_FLAT).sqrt()


def _places(maps: Tensor) -> Tensor:
    """Flatten maps: (N, C, h, w) -> (N, h * w, C)."""
    return maps.flatten(2).transpose(1, 2)


def _centred(flat: Tensor) -> Tensor:
    return flat - flat.mean(2, keepdim=True)


def _covariance(flat: Tensor) -> Tensor:
    """Return the covariance of features: (N, C, places) -> (N, C, C)."""
    centred = _centred(flat)
    return centred @ centred.transpose(1, 2) / flat.shape[2]


def _root(covariance: Tensor, power: float) -> Tensor:
    """Return the matrices (N, C, C) to that power, within the directions that hold anything."""
    values, vectors = torch.linalg.eigh(covariance)
    least = values[:, -1:].clamp_min(torch.finfo(values.dtype).tiny) * _FLOOR
    powers = torch.where(values > least, values.clamp_min(least).pow(power), 0.0)
    root: Tensor = (vectors * powers[:, None]) @ vectors.transpose(1, 2)
    return root
