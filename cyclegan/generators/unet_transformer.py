"""The U-Net generator with a transformer at its bottom."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers import Norm
from cyclegan.layers.convolution import Convolution, FinalConvolution, TransposedConvolution
from cyclegan.layers.normalization import NORMS, convolution_has_bias
from cyclegan.layers.padding import repeat_border

LEVELS = 4  # times that the image is halved
HEADS = 6
WAVES = 16  # sines and cosines for each coordinate of a place


class UnetTransformer(nn.Module):
    """U-Net generator: (N, input_nc, H, W) in [-1, 1] -> (N, output_nc, H, W) in [-1, 1].

    Torbunov et al. 2023, "UVCGAN: UNet Vision Transformer Cycle-Consistent GAN for Unpaired
    Image-to-Image Translation", section 3.1. The transformer sees each pixel of the map at a
    sixteenth of the image's side, and its position. Sides have any length, padded within to
    multiples of 16.
    """

    def __init__(
        self, input_nc: int, output_nc: int, ngf: int = 48, n_blocks: int = 12, *, norm: Norm
    ) -> None:
        super().__init__()
        widths = [ngf * 2 ** min(level, 3) for level in range(LEVELS)]
        self.first = Convolution(input_nc, ngf, 3, padding=1)
        self.down = nn.ModuleList(
            _double_convolution(narrow, wide, norm)
            for narrow, wide in zip([ngf, *widths], widths, strict=False)
        )
        self.halve = nn.ModuleList(Convolution(wide, wide, 2, 2) for wide in widths)
        self.bottom = _Bottom(widths[-1], n_blocks)
        self.enlarge = nn.ModuleList(
            TransposedConvolution(below, wide, 2, 2)
            for below, wide in zip([*widths[1:], widths[-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(_double_convolution(2 * wide, wide, norm) for wide in widths)
        self.last = FinalConvolution(ngf, output_nc, 1)

    def stages(self) -> list[nn.Module]:
        """Return the last layer on the way down, the bottom and what follows it."""
        return [self.down[-1], self.bottom, self.up[-1]]

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the maps of each size on the way down."""
        return self._down(_padded(x))[0]

    def _down(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        x = self.first(x)
        kept: list[Tensor] = []
        for convolve, halve in zip(self.down, self.halve, strict=True):
            kept.append(convolve(x))
            x = halve(kept[-1])
        return kept, x

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        kept, x = self._down(_padded(x))
        x = self.bottom(x)
        for enlarge, convolve in zip(reversed(self.enlarge), reversed(self.up), strict=True):
            x = convolve(torch.cat([kept.pop(), enlarge(x)], dim=1))
        return cast(Tensor, self.last(x)[:, :, :height, :width].tanh())


class _Bottom(nn.Module):
    """Transformer over the places of a map: (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int, n_blocks: int) -> None:
        super().__init__()
        inner = HEADS * max(8, channels // HEADS)
        self.enter = Convolution(channels + 4 * WAVES, inner, 1)
        self.blocks = nn.ModuleList(_Block(inner) for _ in range(n_blocks))
        self.leave = Convolution(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(torch.cat([x, _places(x)], dim=1))
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.leave(x))


class _Block(nn.Module):
    """Attention and a network of two layers, each with a residual connection.

    The weights of what they add start at zero (Bachlechner et al. 2021, "ReZero is All You Need").
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _ChannelNorm(channels), _ChannelNorm(channels)
        self.all_three = Convolution(channels, 3 * channels, 1)
        self.join = Convolution(channels, channels, 1)
        self.widen = Convolution(channels, 4 * channels, 1)
        self.narrow = Convolution(4 * channels, channels, 1)
        self.share = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        share = self.share.to(x.dtype)
        x = x + share[0] * self._attend(self.norm1(x))
        wide = functional.gelu(self.widen(self.norm2(x)))
        return cast(Tensor, x + share[1] * self.narrow(wide))

    def _attend(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        split = self.all_three(x).reshape(n, 3, HEADS, channels // HEADS, height * width)
        query, key, value = split.transpose(3, 4).unbind(1)  # (N, heads, places, C / heads)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return cast(Tensor, self.join(seen.transpose(2, 3).reshape(n, channels, height, width)))


class _ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each place, in float32 at least."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        full = x.to(self.weight.dtype).permute(0, 2, 3, 1)
        normed = functional.layer_norm(full, full.shape[-1:], self.weight, self.bias)
        return normed.permute(0, 3, 1, 2).to(x.dtype)


def _double_convolution(channels: int, out: int, norm: Norm) -> nn.Sequential:
    bias = convolution_has_bias(norm)
    return nn.Sequential(
        NORMS[norm](channels),
        Convolution(channels, out, 3, padding=1, bias=bias),
        nn.LeakyReLU(0.2),
        NORMS[norm](out),
        Convolution(out, out, 3, padding=1, bias=bias),
        nn.LeakyReLU(0.2),
    )


def _padded(images: Tensor) -> Tensor:
    """Pad to sides that can be halved four times, to two places at least for the norms."""
    height, width = (
        max(2 << LEVELS, math.ceil(side / (1 << LEVELS)) << LEVELS) for side in images.shape[2:]
    )
    margins = (0, width - images.shape[3], 0, height - images.shape[2])
    return repeat_border(images, *margins) if any(margins) else images


def _places(x: Tensor) -> Tensor:
    """Return sines and cosines of each row and column, slow to fast: (N, 4 * WAVES, h, w)."""
    n, _, height, width = x.shape
    speed = 2.0 ** torch.linspace(-6, 2, WAVES, device=x.device)
    rows = torch.arange(height, device=x.device)[:, None] * speed  # (h, WAVES)
    columns = torch.arange(width, device=x.device)[:, None] * speed
    tall = torch.cat([rows.sin(), rows.cos()], 1).T[:, :, None].expand(-1, -1, width)
    wide = torch.cat([columns.sin(), columns.cos()], 1).T[:, None, :].expand(-1, height, -1)
    return torch.cat([tall, wide]).expand(n, -1, -1, -1).to(x.dtype)
