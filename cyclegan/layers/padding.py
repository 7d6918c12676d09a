"""Padding by reflection, with a gradient that can be had bit by bit the same."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class ReflectionPad(nn.ReflectionPad2d):
    """(N, C, H, W) -> (N, C, H + 2 by, W + 2 by); `by` is smaller than H and W."""

    def __init__(self, by: int) -> None:
        super().__init__(by)
        self.by = by

    def forward(self, input: Tensor) -> Tensor:
        return reflect(input, self.by)


def reflect(images: Tensor, by: int) -> Tensor:
    """(N, C, H, W) -> (N, C, H + 2 by, W + 2 by).

    A GPU adds up torch's own gradient of it in the order in which its threads come to it: where
    deterministic algorithms are asked for, the margins are folded back one after the other.
    """
    if torch.are_deterministic_algorithms_enabled():
        made: Tensor = _Reflected.apply(images, by)
        return made
    return _padded(images, by)


def is_channels_last(images: Tensor) -> bool:
    """Whether (N, C, H, W) lies in memory pixel by pixel and not channel by channel."""
    return not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)


def _padded(images: Tensor, by: int) -> Tensor:
    if _keeps_pixels_together(images):
        deep = images.permute(0, 2, 3, 1)  # (N, H, W, C), the channels as the innermost of three
        return functional.pad(deep, (0, 0, by, by, by, by), mode="reflect").permute(0, 3, 1, 2)
    return functional.pad(images, (by,) * 4, mode="reflect")


def _keeps_pixels_together(images: Tensor) -> bool:
    """Whether the GPU's kernel for two sides would copy the map to channel by channel, and back."""
    return images.is_cuda and is_channels_last(images) and not torch.compiler.is_compiling()


class _Reflected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, by: int) -> Tensor:
        ctx.by = by
        return _padded(images, by)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return _folded(_folded(gradient, 2, ctx.by), 3, ctx.by), None


def _folded(gradient: Tensor, side: int, by: int) -> Tensor:
    """The gradient without its margins along `side`, which are added to what they mirror."""
    length = gradient.shape[side] - 2 * by
    inner = gradient.narrow(side, by, length).clone()
    inner.narrow(side, 1, by).add_(gradient.narrow(side, 0, by).flip(side))
    inner.narrow(side, length - 1 - by, by).add_(gradient.narrow(side, by + length, by).flip(side))
    return inner
