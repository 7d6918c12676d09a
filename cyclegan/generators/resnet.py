"""The ResNet generator, its blocks, and its layers that halve and double sides."""

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from cyclegan.layers import Downsampling, Norm, Upsampling
from cyclegan.layers.chain import Chain
from cyclegan.layers.convolution import (
    BlurPool,
    BlurredConvolution,
    BlurUpsample,
    Convolution,
    FinalConvolution,
    ResizeConvolution,
    TransposedConvolution,
)
from cyclegan.layers.normalization import NORMS, convolution_has_bias
from cyclegan.layers.padding import ReflectionPad


class ResnetBlock(nn.Module):
    """Residual block of two 3x3 convolutions: (N, C, H, W) -> (N, C, H, W).

    The blocks of Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer", with
    reflection padding.
    """

    def __init__(
        self, channels: int, norm: Norm, *, dropout: bool, separable: bool = False
    ) -> None:
        super().__init__()
        bias = convolution_has_bias(norm)
        convolution = _separable if separable else _whole
        self.conv_block = Chain(
            ReflectionPad(1),
            convolution(channels, bias=bias),
            NORMS[norm](channels),
            nn.ReLU(inplace=True),
            *([nn.Dropout(0.5)] if dropout else []),
            ReflectionPad(1),
            convolution(channels, bias=bias),
            NORMS[norm](channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.conv_block(x))


def _whole(channels: int, *, bias: bool) -> nn.Module:
    return Convolution(channels, channels, 3, bias=bias)


def _separable(channels: int, *, bias: bool) -> nn.Module:
    """Return a 3x3 convolution of each channel by itself, then a 1x1 convolution of all.

    Some ninth of the multiply-adds: Howard et al. 2017, "MobileNets", section 3.1.
    """
    return nn.Sequential(
        Convolution(channels, channels, 3, groups=channels, bias=False),
        Convolution(channels, channels, 1, bias=bias),
    )


class ResnetGenerator(nn.Module):
    """ResNet generator: (N, input_nc, H, W) in [-1, 1] -> (N, output_nc, H, W) in [-1, 1].

    H and W are multiples of 4 and at least 8. Zhu et al. 2017, "Unpaired Image-to-Image Translation
    using Cycle-Consistent Adversarial Networks", appendix 7.2. The layers have the same places in
    `model` as in the classic state dicts. With `residual` the network makes what is added to the
    image, as in de Bel et al. 2021, "Residual CycleGAN for robust domain transformation of
    histopathological tissue slides".
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int = 64,
        n_blocks: int = 9,
        *,
        norm: Norm = "instance",
        dropout: bool = False,
        upsampling: Upsampling = "transposed",
        downsampling: Downsampling = "strided",
        residual: bool = False,
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        halve, double = DOWNSAMPLING[downsampling], UPSAMPLING[upsampling]
        self.model = Chain(
            ReflectionPad(3),
            *_normalized(Convolution(input_nc, ngf, 7, bias=convolution_has_bias(norm)), ngf, norm),
            *halve(ngf, ngf * 2, norm),
            *halve(ngf * 2, ngf * 4, norm),
            *(
                ResnetBlock(ngf * 4, norm, dropout=dropout, separable=separable)
                for _ in range(n_blocks)
            ),
            *double(ngf * 4, ngf * 2, norm),
            *double(ngf * 2, ngf, norm),
            ReflectionPad(3),
            FinalConvolution(ngf, output_nc, 7),
            nn.Identity() if residual else nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = cast(Tensor, self.model(x))
        return join(y, x) if self.residual else y

    def stages(self) -> list[nn.Module]:
        """Return the layers before, amid and behind the blocks, whose maps a student learns."""
        layers = list(self.model)
        blocks = [place for place, layer in enumerate(layers) if isinstance(layer, ResnetBlock)]
        if not blocks:
            return []
        middle = blocks[(len(blocks) - 1) // 2]
        return [layers[place] for place in (blocks[0] - 1, middle, blocks[-1])]

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return maps up to the middle block: the image, each size, and two in the blocks."""
        kept = [x]
        layers = list(self.model)
        blocks = [place for place, layer in enumerate(layers) if isinstance(layer, ResnetBlock)]
        length = (blocks[0] - _BEGINNING) // 2 if blocks else 3
        halved = (_BEGINNING + length - 1, _BEGINNING + 2 * length - 1)
        wanted = {*halved, *blocks[: len(blocks) // 2 + 1 : 4]}
        for place, layer in enumerate(layers[: max(wanted) + 1]):
            x = layer(x)
            if place in wanted:
                kept.append(x)
        return kept


def join(change: Tensor, image: Tensor) -> Tensor:
    """Add a residual generator's change to the image (N, C, H, W) in [-1, 1]; stays in [-1, 1].

    The change is added before the tanh, so the sum stays in range and white can become gray.
    """
    return torch.tanh(change + torch.atanh(_NEARLY * image.to(change.dtype)))


_NEARLY = 0.99  # atanh(1) is infinite


_BEGINNING = 4  # layers before those that halve


class _Resample(Protocol):
    """Builder of layers (N, C, H, W) -> (N, out, 2H, 2W), or (N, out, H/2, W/2).

    Norm and ReLU are included.
    """

    def __call__(self, channels: int, out: int, norm: Norm, /) -> list[nn.Module]: ...


def _normalized(convolution: nn.Module, channels: int, norm: Norm) -> list[nn.Module]:
    return [convolution, NORMS[norm](channels), nn.ReLU(inplace=True)]


def _same(channels: int, out: int, norm: Norm) -> list[nn.Module]:
    bias = convolution_has_bias(norm)
    return _normalized(Convolution(channels, out, 3, padding=1, bias=bias), out, norm)


def _transposed(channels: int, out: int, norm: Norm) -> list[nn.Module]:
    bias = convolution_has_bias(norm)
    layer = TransposedConvolution(channels, out, 3, 2, padding=1, output_padding=1, bias=bias)
    return _normalized(layer, out, norm)


def _resized(channels: int, out: int, norm: Norm) -> list[nn.Module]:
    layer = ResizeConvolution(channels, out, bias=convolution_has_bias(norm))
    return _normalized(layer, out, norm)


def _strided(channels: int, out: int, norm: Norm) -> list[nn.Module]:
    bias = convolution_has_bias(norm)
    return _normalized(Convolution(channels, out, 3, 2, padding=1, bias=bias), out, norm)


def _blurred(channels: int, out: int, norm: Norm) -> list[nn.Module]:
    layer = BlurredConvolution(channels, out, bias=convolution_has_bias(norm))
    return _normalized(layer, out, norm)


#: The one table of what enlarges (`--upsampling`). Antialiased is as in Park et al. 2020,
#: "Contrastive Learning for Unpaired Image-to-Image Translation", whose places the layers have.
UPSAMPLING: dict[Upsampling, _Resample] = {
    "transposed": _transposed,
    "resize": _resized,
    "antialiased": lambda channels, out, norm: [
        BlurUpsample(channels),
        *_same(channels, out, norm),
    ],
}
#: And of what makes smaller (`--downsampling`).
DOWNSAMPLING: dict[Downsampling, _Resample] = {
    "strided": _strided,
    "blurred": _blurred,
    "antialiased": lambda channels, out, norm: [*_same(channels, out, norm), BlurPool(out)],
}
