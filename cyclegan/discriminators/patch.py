"""Discriminators: PatchGAN, multiscale, pixel and projected."""

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from cyclegan.features.layered import LayeredNetwork
from cyclegan.layers import Norm
from cyclegan.layers.convolution import Convolution, FinalConvolution
from cyclegan.layers.normalization import NORMS, convolution_has_bias


class PatchDiscriminator(nn.Module):
    """PatchGAN: (N, input_nc, H, W) in [-1, 1] -> scores (N, 1, h, w) of patches, unbounded.

    Patches overlap and are 70 pixels wide with `n_layers` 3. Isola et al. 2017, "Image-to-Image
    Translation with Conditional Adversarial Networks", section 3.2.2. No sigmoid: the loss has it,
    if any.
    """

    def __init__(
        self, input_nc: int, ndf: int = 64, n_layers: int = 3, *, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        bias = convolution_has_bias(norm)
        widths = [ndf * min(2**layer, 8) for layer in range(n_layers + 1)]
        strides = [2] * (n_layers - 1) + [1]
        layers: list[nn.Module] = [Convolution(input_nc, ndf, 4, 2, padding=1), _leaky()]
        for (narrow, wide), stride in zip(pairwise(widths), strides, strict=True):
            convolution = Convolution(narrow, wide, 4, stride, padding=1, bias=bias)
            layers += [convolution, NORMS[norm](wide), _leaky()]
        self.model = nn.Sequential(*layers, FinalConvolution(widths[-1], 1, 4, 1, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model(x))


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)


class MultiscaleDiscriminator(nn.Module):
    """PatchGANs at several scales: (N, input_nc, H, W) in [-1, 1] -> unbounded (N, n_scales, h, w).

    One discriminator for each scale, each at half the size of the one before: the coarse ones see
    composition, the finest brush strokes. Wang et al. 2018, "High-Resolution Image Synthesis and
    Semantic Manipulation with Conditional GANs", section 3.2. Coarse scores are repeated to the
    finest's size, so that every scale counts the same.
    """

    def __init__(
        self, input_nc: int, ndf: int, n_layers: int, n_scales: int, *, norm: Norm
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(input_nc, ndf, n_layers, norm=norm) for _ in range(n_scales)
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: list[Tensor] = []
        for scale in self.scales:
            scores.append(scale(x))
            x = functional.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
        size = scores[0].shape[2:]
        return torch.cat([functional.interpolate(one, size, mode="nearest") for one in scores], 1)


class PixelDiscriminator(nn.Module):
    """Pixel discriminator: (N, input_nc, H, W) in [-1, 1] -> scores (N, 1, H, W), unbounded.

    The 1x1 PatchGAN of Isola et al. 2017, section 4.4: it sees colours, no structure.
    """

    def __init__(self, input_nc: int, ndf: int = 64, *, norm: Norm = "instance") -> None:
        super().__init__()
        bias = convolution_has_bias(norm)
        self.net = nn.Sequential(
            Convolution(input_nc, ndf, 1),
            nn.LeakyReLU(0.2, inplace=True),
            Convolution(ndf, ndf * 2, 1, bias=bias),
            NORMS[norm](ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            FinalConvolution(ndf * 2, 1, 1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.net(x))


class ProjectedDiscriminator(nn.Module):
    """Projected discriminator: (N, input_nc, H, W) in [-1, 1] -> (N, 1 + maps, h, w), unbounded.

    Sauer et al. 2021, "Projected GANs Converge Faster", sections 3.2 and 4: the feature maps of a
    frozen network are mixed across channels and scales by fixed random weights, so that no feature
    alone can be fooled, and each mixed map is judged by a small head. Here the heads stand beside
    the PatchGAN, whose scores are the first channel; their scores are averaged to its size.
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
        """Apply `fn` to the frozen network too, so that it follows to a device or type."""
        for module in self._features[0].modules():
            cast(Any, module)._apply(fn)
        return cast(Any, super())._apply(fn, recurse)


class _Mix(nn.Module):
    """Mix of a layer's maps and the mixed maps of the layer above, by fixed random weights."""

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
    """Return a head that scores maps: (N, width, h, w) -> (N, 1, h, w)."""
    convolutions = [
        nn.Conv2d(width, width, 3, padding=1),
        nn.Conv2d(width, width, 3, padding=1),
        nn.Conv2d(width, 1, 1),
    ]
    first, second, last = (spectral_norm(one) for one in convolutions)
    return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), last)
