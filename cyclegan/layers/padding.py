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
    return functional.pad(images, (by,) * 4, mode="reflect")


class _Reflected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, by: int) -> Tensor:
        ctx.by = by
        return functional.pad(images, (by,) * 4, mode="reflect")

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
