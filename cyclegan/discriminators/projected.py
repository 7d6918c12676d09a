"""A PatchGAN beside discriminators that look through a frozen network."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from cyclegan.features.layered import LayeredNetwork


class ProjectedDiscriminator(nn.Module):
    """(N, input_nc, H, W) in [-1, 1] -> (N, 1 + number of maps, h, w), unbounded.

    Sauer et al. 2021, "Projected GANs Converge Faster", sections 3.2 and 4: the maps of a frozen
    network are mixed across channels and scales by random weights that stay, so that no feature
    alone can be fooled, and each is judged by a small head. Here they stand beside the PatchGAN,
    whose scores are the first channel; the others are averaged to its size.
    """

    def __init__(self, patch: nn.Module, features: LayeredNetwork, *, width: int = 48) -> None:
        super().__init__()
        self.patch = patch
        # No submodule: its weights are not trained, not initialised, not saved.
        self._features = [features]
        self._layers = features.compared
        self.mix = nn.ModuleList(_Mix(features.channels(name), width) for name in self._layers)
        self.heads = nn.ModuleList(_head(width) for _ in self._layers)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.patch(x)
        size = scores.shape[2:]
        judged = [scores]
        maps = self._features[0](x, self._layers)
        above: Tensor | None = None
        for name, mix, head in reversed([*zip(self._layers, self.mix, self.heads, strict=True)]):
            above = mix(maps[name] * self._features[0].scale, above)
            judged.append(functional.interpolate(head(above), size, mode="area"))
        return torch.cat(judged, 1)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move the frozen network along, to another device or type."""
        for module in self._features[0].modules():
            cast(Any, module)._apply(fn)
        return cast(Any, super())._apply(fn, recurse)


class _Mix(nn.Module):
    """Maps of one layer and the mixed ones of the layer above it, mixed by weights that stay."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight: Tensor
        weight = torch.randn(width, channels, 1, 1) * channels**-0.5
        self.register_buffer("weight", weight)

    def forward(self, maps: Tensor, above: Tensor | None) -> Tensor:
        mixed = functional.conv2d(maps, self.weight.to(maps.dtype))
        if above is None:
            return mixed
        size = mixed.shape[2:]
        return mixed + functional.interpolate(above, size, mode="bilinear", align_corners=False)


def _head(width: int) -> nn.Module:
    """(N, width, h, w) -> (N, 1, h, w)."""
    convolutions = [
        nn.Conv2d(width, width, 3, padding=1),
        nn.Conv2d(width, width, 3, padding=1),
        nn.Conv2d(width, 1, 1),
    ]
    first, second, last = (spectral_norm(one) for one in convolutions)
    return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), last)
