"""Row by row computation of a network: its layers in order, on maps that give their rows.

One entry for each kind of layer: how it turns a map into the next.
"""

from collections.abc import Callable
from functools import partial, singledispatch
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.generators.resnet import ResnetBlock, ResnetGenerator, join
from cyclegan.layers.convolution import (
    BlurPool,
    BlurredConvolution,
    BlurUpsample,
    Convolution,
    FinalConvolution,
    ResizeConvolution,
    TransposedConvolution,
)
from cyclegan.layers.normalization import InstanceNorm, Scale
from cyclegan.tiling.rows import (
    Convolved,
    Joined,
    Mapped,
    Moments,
    Padded,
    Rows,
    Scratch,
    Shape,
    Transposed,
)


@singledispatch
def stream(layer: nn.Module, source: Rows, scratch: Scratch) -> Rows:
    """Return the map that `layer` makes of `source`. Raises TypeError for unknown layers."""
    raise TypeError(f"{type(layer).__name__} can't be computed by rows")


@stream.register
def _(layer: ResnetGenerator, source: Rows, scratch: Scratch) -> Rows:
    made = stream(layer.model, source, scratch)
    return Joined(made, source, join) if layer.residual else made


@stream.register
def _(layer: nn.Sequential, source: Rows, scratch: Scratch) -> Rows:
    for part in layer:
        source = stream(part, source, scratch)
    return source


@stream.register
def _(layer: ResnetBlock, source: Rows, scratch: Scratch) -> Rows:
    change = stream(layer.conv_block, source, scratch)
    # Kept, or each block would ask for all blocks before it again.
    return scratch.keep(Joined(source, change, torch.add))


@stream.register(nn.ReLU)
@stream.register(nn.Tanh)
@stream.register(nn.Identity)
@stream.register(nn.Dropout)
@stream.register(Scale)
def _(layer: nn.Module, source: Rows, scratch: Scratch) -> Rows:
    return Mapped(source, layer)


@stream.register
def _(layer: InstanceNorm, source: Rows, scratch: Scratch) -> Rows:
    return _normalized(source, scratch)


@stream.register
def _(layer: nn.BatchNorm2d, source: Rows, scratch: Scratch) -> Rows:
    if layer.running_mean is not None:
        return Mapped(source, layer)
    return Mapped(_normalized(source, scratch), affine(layer))


def affine(layer: nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """Return the scale and shift after a BatchNorm that takes the image's own statistics."""
    scale, shift = (each.detach().view(1, -1, 1, 1) for each in (layer.weight, layer.bias))
    return lambda part: part * scale.to(part) + shift.to(part)


def maps_kept(network: nn.Module) -> int:
    """Return the number of maps before the last one: what each norm and each block makes."""
    return sum(
        isinstance(layer, ResnetBlock | InstanceNorm)
        or (isinstance(layer, nn.BatchNorm2d) and layer.running_mean is None)
        for layer in network.modules()
    )


def streams(network: nn.Module) -> bool:
    """Return whether `network` can be computed by rows."""
    return stream.dispatch(type(network)) is not stream.dispatch(nn.Module)


def _normalized(source: Rows, scratch: Scratch) -> Rows:
    seen: list[Moments] = []
    kept = scratch.keep(source, lambda part: seen.append(Moments.of(part)))
    moments = sum(seen[1:], seen[0])
    return Mapped(kept, moments.normalize)


@stream.register
def _(layer: nn.ReflectionPad2d, source: Rows, scratch: Scratch) -> Rows:
    left, _, top, _ = layer.padding
    return Padded(source, top, left, "reflect")


@stream.register
def _(layer: Convolution, source: Rows, scratch: Scratch) -> Rows:
    weight, bias, stride = layer.weight, layer.bias, layer.stride[0]
    high, wide = cast(tuple[int, int], layer.padding)

    def convolve(part: Tensor) -> Tensor:
        filters, shift = weight.to(part), _like(bias, part)
        return functional.conv2d(part, filters, shift, stride, (0, wide), 1, layer.groups)

    padded = Padded(source, high, 0, "constant") if high else source
    height = (padded.shape.height - weight.shape[2]) // stride + 1
    width = (padded.shape.width + 2 * wide - weight.shape[3]) // stride + 1
    return Convolved(padded, convolve, weight.shape[2], stride, Shape(len(weight), height, width))


@stream.register
def _(layer: FinalConvolution, source: Rows, scratch: Scratch) -> Rows:
    kernel, inner = layer.weight.shape[2], source.shape
    shape = Shape(len(layer.weight), inner.height - kernel + 1, inner.width - kernel + 1)
    return Convolved(source, layer, kernel, 1, shape)


@stream.register
def _(layer: BlurredConvolution, source: Rows, scratch: Scratch) -> Rows:
    weight, bias = layer.spread(), layer.bias

    def convolve(part: Tensor) -> Tensor:
        return functional.conv2d(part, weight.to(part), _like(bias, part), 2)

    inner = source.shape
    shape = Shape(len(weight), inner.height // 2, inner.width // 2)
    return Convolved(Padded(source, 2, 2, "reflect"), convolve, 5, 2, shape)


@stream.register
def _(layer: BlurPool, source: Rows, scratch: Scratch) -> Rows:
    inner = source.shape
    shape = Shape(inner.channels, inner.height // 2, inner.width // 2)
    return Convolved(Padded(source, 1, 1, "reflect"), layer.blur, 3, 2, shape)


@stream.register
def _(layer: BlurUpsample, source: Rows, scratch: Scratch) -> Rows:
    inner = source.shape
    shape = Shape(inner.channels, 2 * inner.height, 2 * inner.width)
    spread = partial(layer.spread, cut=(0, 3))
    return Transposed(Padded(source, 1, 1, "replicate"), spread, 4, 3, shape)


def _like(bias: Tensor | None, part: Tensor) -> Tensor | None:
    return None if bias is None else bias.to(part)


@stream.register
def _(layer: TransposedConvolution, source: Rows, scratch: Scratch) -> Rows:
    weight, bias = layer.weight, layer.bias

    def convolve(part: Tensor) -> Tensor:
        return functional.conv_transpose2d(
            part, weight.to(part), _like(bias, part), 2, (0, 1), (1, 1)
        )

    inner = source.shape
    shape = Shape(weight.shape[1], 2 * inner.height, 2 * inner.width)
    return Transposed(source, convolve, 3, 1, shape)


@stream.register
def _(layer: ResizeConvolution, source: Rows, scratch: Scratch) -> Rows:
    weight, bias = layer.summed(), layer.bias

    def convolve(part: Tensor) -> Tensor:
        return functional.conv_transpose2d(part, weight.to(part), _like(bias, part), 2, (0, 3))

    inner = source.shape
    shape = Shape(weight.shape[1], 2 * inner.height, 2 * inner.width)
    return Transposed(Padded(source, 1, 1, "replicate"), convolve, 4, 3, shape)
