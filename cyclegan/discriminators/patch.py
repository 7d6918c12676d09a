"""The PatchGAN discriminator."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers import Norm
from cyclegan.layers.convolution import Convolution, FinalConvolution
from cyclegan.layers.normalization import NORMS, convolution_has_bias


class PatchDiscriminator(nn.Module):
    """Score overlapping patches: (N, input_nc, H, W) in [-1, 1] -> (N, 1, h, w), unbounded.

    A patch is 70 pixels wide with `n_layers` 3. Isola et al. 2017, "Image-to-Image Translation
    with Conditional Adversarial Networks", section 3.2.2. No sigmoid: the loss has it, if any.
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
    """(N, input_nc, H, W) in [-1, 1] -> (N, n_scales, h, w), unbounded.

    One discriminator for each size, each half the one before: the coarse ones see composition, the
    finest brush strokes. Wang et al. 2018, "High-Resolution Image Synthesis and Semantic
    Manipulation with Conditional GANs", section 3.2. Coarse scores are repeated to the finest's
    size, so that every scale counts the same.
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
    """Score every pixel: (N, input_nc, H, W) in [-1, 1] -> (N, 1, H, W), unbounded.

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
