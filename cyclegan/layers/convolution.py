"""Convolutions and blurs in the type of their input whatever their own, and first weights."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from cyclegan.layers import InitType
from cyclegan.layers.padding import is_channels_last, reflect, repeat_border


class BlurPool(nn.Module):
    """Downsampling by two: a blur with [1 2 1] / 4 both ways, at stride 2; reflection padding.

    (N, C, H, W) -> (N, C, H/2, W/2), in the input's type; H and W even. Zhang 2019, "Making
    Convolutional Networks Shift-Invariant Again".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filt: Tensor
        self.register_buffer("filt", _kernel((1, 2, 1), channels) / 16)

    def forward(self, input: Tensor) -> Tensor:
        return self.blur(reflect(input, 1))

    def blur(self, padded: Tensor) -> Tensor:
        """Blur and downsample an input that already has its borders."""
        return functional.conv2d(
            padded, self.filt.to(padded.dtype), stride=2, groups=len(self.filt)
        )


class BlurUpsample(nn.Module):
    """Upsampling by two with [1 3 3 1] / 4 both ways; the border's pixels are repeated.

    (N, C, H, W) -> (N, C, 2H, 2W), in the input's type. Same paper as `BlurPool`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filt: Tensor
        self.register_buffer("filt", _kernel((1, 3, 3, 1), channels) / 16)

    def forward(self, input: Tensor) -> Tensor:
        return self.spread(repeat_border(input, 1, 1, 1, 1), (3, 3))

    def spread(self, padded: Tensor, cut: tuple[int, int]) -> Tensor:
        """Upsample an input that has its borders; cut `cut` rows and columns off each side."""
        filt = self.filt.to(padded.dtype)
        return functional.conv_transpose2d(padded, filt, None, 2, cut, groups=len(filt))


def _kernel(row: Sequence[float], channels: int) -> Tensor:
    """Return the filter `row` both ways, once per channel: (channels, 1, k, k)."""
    one = torch.tensor(row, dtype=torch.float32)
    return torch.outer(one, one).expand(channels, 1, -1, -1).contiguous()


class Convolution(nn.Conv2d):
    """Convolution in the input's type, bfloat16 to bfloat16: (N, C, H, W) -> (N, C', H', W')."""

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = _like(input, self.weight, self.bias)
        return functional.conv2d(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )


class TransposedConvolution(nn.ConvTranspose2d):
    """Transposed convolution in the input's type: (N, C, H, W) -> (N, C', H', W')."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        weight, bias = _like(input, self.weight, self.bias)
        return functional.conv_transpose2d(
            input,
            weight,
            bias,
            self.stride,
            cast(tuple[int, ...], self.padding),
            self.output_padding,
        )


class ResizeConvolution(nn.Conv2d):
    """Nearest-neighbour upsampling by two, then a 3x3 convolution; reflection padding.

    (N, C, H, W) -> (N, C', 2H, 2W), in the input's type. Every pixel is made of as many weights,
    where a transposed convolution leaves a checkerboard: Odena et al. 2016, "Deconvolution and
    Checkerboard Artifacts". Computed as one transposed convolution of the small image, whose 4x4
    kernel holds the sums of weights that meet the same pixel: less than half the arithmetic.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 3, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = _like(input, self.summed(), self.bias)
        # Reflection in the enlarged image, whose pixels are pairs, repeats the small one's border.
        # Joined rather than padded: compiled, the gradient of replication_pad2d in channels_last is
        # expected in another memory layout than torch 2.14 makes it in, and training ends there.
        tall = torch.cat((input[:, :, :1], input, input[:, :, -1:]), 2)
        padded = torch.cat((tall[:, :, :, :1], tall, tall[:, :, :, -1:]), 3)
        return functional.conv_transpose2d(padded, weight, bias, 2, 3)

    def plain(self) -> nn.Module:
        """Return the layer as torch's own ones, the kernel summed once, for exported files."""
        layer = nn.ConvTranspose2d(
            self.in_channels, self.out_channels, 4, 2, 3, bias=self.bias is not None
        )
        return nn.Sequential(nn.ReplicationPad2d(1), _with(layer, self.summed(), self.bias))

    def summed(self) -> Tensor:
        """Return the kernel (C, C', 4, 4): each weight counts for two places in each direction."""
        mirrored = self.weight.flip(2, 3).transpose(0, 1)
        wide = functional.pad(mirrored, (1, 1, 1, 1))
        rows = wide[:, :, 1:] + wide[:, :, :-1]
        return rows[:, :, :, 1:] + rows[:, :, :, :-1]


class BlurredConvolution(nn.Conv2d):
    """Blur with [1 2 1] / 4 both ways, then a 3x3 convolution at stride 2; reflection padding.

    (N, C, H, W) -> (N, C', H/2, W/2), in the input's type; H and W even. Detail that is too fine
    for the small image is blurred away first, so it does not alias: Zhang 2019, "Making
    Convolutional Networks Shift-Invariant Again". Blur and kernel are linear and act as one of 5x5.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 3, 2, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = _like(input, self.spread(), self.bias)
        padded = reflect(input, 2)
        return functional.conv2d(padded, weight, bias, 2)

    def plain(self) -> nn.Module:
        """Return the layer as torch's own ones, the kernel blurred once, for exported files."""
        layer = nn.Conv2d(self.in_channels, self.out_channels, 5, 2, bias=self.bias is not None)
        return nn.Sequential(nn.ReflectionPad2d(2), _with(layer, self.spread(), self.bias))

    def spread(self) -> Tensor:
        """Return the blurred kernel, (C', C, 5, 5)."""
        blurred = functional.pad(self.weight, (2, 2, 2, 2))
        for side in (2, 3):
            count = blurred.shape[side] - 2
            first, middle, last = (blurred.narrow(side, start, count) for start in range(3))
            blurred = (first + 2 * middle + last) / 4
        return blurred


class FinalConvolution(nn.Conv2d):
    """Convolution in the weights' type, at stride 1: (N, C, H, W) -> (N, C', H', W').

    Pixels are computed in full: a bfloat16 tanh would leave 2,053 of 65,536 levels.
    """

    def forward(self, input: Tensor) -> Tensor:
        full = input.to(self.weight.dtype)
        if not is_channels_last(full):
            return functional.conv2d(full, self.weight, self.bias, padding=self.padding)
        (high, wide) = cast(tuple[int, int], self.padding)
        if high or wide:  # a padding of nothing would copy the largest map there is
            full = functional.pad(full, (wide, wide, high, high))
        return _by_rows(full, self.weight, self.bias)


#: Layers that compute in the type of their input.
FOLLOWERS = (Convolution, TransposedConvolution, ResizeConvolution, BlurredConvolution)


def fold(network: nn.Module, dtype: torch.dtype) -> None:
    """Cast the weights of layers that follow their input's type to `dtype`, once and in place.

    For networks that are trained no further.
    """
    for module in network.modules():
        if isinstance(module, FOLLOWERS):
            module.to(dtype)


def _by_rows(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with each row of the kernel, all in one call; shift the results and add them up.

    The same sum in another order. Vectors along the few output channels would be mostly empty: with
    a 7x7 kernel and 3 channels, 21 fill them.
    """
    out, channels, rows, columns = weight.shape
    height = images.shape[2] - rows + 1
    flat = weight.permute(2, 0, 1, 3).reshape(rows * out, channels, 1, columns)
    # (N, at least rows * out, H, W')
    each = _padded_on_a_gpu(images, flat) if images.is_cuda else functional.conv2d(images, flat)
    total = (
        sum(each[:, row * out : (row + 1) * out, row : row + height] for row in range(1, rows))
        + each[:, :out, :height]
    )
    return total if bias is None else total + bias.view(1, -1, 1, 1)


def _padded_on_a_gpu(images: Tensor, weight: Tensor) -> Tensor:
    """Convolve to channels that are a multiple of 8; for fewer, cuDNN copies maps first."""
    made = functional.conv2d(
        images, functional.pad(weight, (0, 0, 0, 0, 0, 0, 0, -len(weight) % 8))
    )
    return cast(Tensor, _WithGradientChannelsLast.apply(made))


class _WithGradientChannelsLast(torch.autograd.Function):
    """The same images; that of slices comes channels first, and convolutions would copy it."""

    @staticmethod
    def forward(ctx: object, images: Tensor) -> Tensor:
        return images.view_as(images)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        return gradient.contiguous(memory_format=torch.channels_last)


def _with(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    layer.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
    return layer


def _like(images: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return weight.to(images.dtype), None if bias is None else bias.to(images.dtype)


INITS: dict[InitType, Callable[[Tensor, float], Tensor]] = {
    "normal": lambda weight, gain: nn.init.normal_(weight, 0.0, gain),
    "xavier": lambda weight, gain: nn.init.xavier_normal_(weight, gain=gain),
    # He initialisation has no gain of its own: its scale follows from the layer (He et al. 2015).
    "kaiming": lambda weight, gain: nn.init.kaiming_normal_(weight, a=0, mode="fan_in"),
    "orthogonal": lambda weight, gain: nn.init.orthogonal_(weight, gain=gain),
}


def initialize(network: nn.Module, init_type: InitType, init_gain: float) -> nn.Module:
    """Draw new weights in place: convolutions by `init_type`, BatchNorm from N(1, init_gain).

    Biases become 0. Draws from torch's global generator. Returns the network.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            INITS[init_type](_kept(module), init_gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, init_gain)
            nn.init.zeros_(module.bias)
    return network


def _kept(module: nn.Module) -> Tensor:
    """Return the trained weight, where another is computed from it (spectral normalisation)."""
    if is_parametrized(module, "weight"):
        return cast(Tensor, cast(Any, module).parametrizations.weight.original)
    return cast(Tensor, module.weight)
