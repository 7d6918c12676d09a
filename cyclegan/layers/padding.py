"""Padding by reflection and by repetition, with gradients that can be deterministic."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class ReflectionPad(nn.ReflectionPad2d):
    """Reflection padding: (N, C, H, W) -> (N, C, H + 2 by, W + 2 by); `by` is below H and W."""

    def __init__(self, by: int) -> None:
        super().__init__(by)
        self.by = by

    def forward(self, input: Tensor) -> Tensor:
        return reflect(input, self.by)


def reflect(images: Tensor, by: int) -> Tensor:
    """Pad by reflection: (N, C, H, W) -> (N, C, H + 2 by, W + 2 by).

    On a GPU, torch's own gradient adds up in the order in which its threads arrive: where
    deterministic algorithms are asked for, the margins are folded back one after the other.
    """
    if torch.are_deterministic_algorithms_enabled():
        made: Tensor = _Reflected.apply(images, by)
        return made
    return _padded(images, by)


#: Newer than the oldest torch that is supported; without it an export has the joined parts.
_is_exporting = getattr(torch.compiler, "is_exporting", lambda: False)


def repeat_border(images: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Repeat border pixels: (N, C, H, W) -> (N, C, H + top + bottom, W + left + right).

    On a GPU, torch's own gradient is nondeterministic, and compiled code expects it channels first
    where it comes channels last: in both cases the margins are concatenated instead.
    """
    compiled = torch.compiler.is_compiling() and not _is_exporting()
    if compiled or torch.are_deterministic_algorithms_enabled():
        return _joined(_joined(images, 2, top, bottom), 3, left, right)
    return functional.pad(images, (left, right, top, bottom), mode="replicate")


def _joined(images: Tensor, side: int, before: int, after: int) -> Tensor:
    first, last = images.narrow(side, 0, 1), images.narrow(side, images.shape[side] - 1, 1)
    sizes = [[*images.shape] for _ in range(2)]
    sizes[0][side], sizes[1][side] = before, after
    return torch.cat([first.expand(sizes[0]), images, last.expand(sizes[1])], side)


def is_channels_last(images: Tensor) -> bool:
    """Return whether (N, C, H, W) lies in memory channels last and not channels first."""
    return not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)


def _padded(images: Tensor, by: int) -> Tensor:
    if _keeps_pixels_together(images):
        deep = images.permute(0, 2, 3, 1)  # (N, H, W, C), the channels as the innermost of three
        return functional.pad(deep, (0, 0, by, by, by, by), mode="reflect").permute(0, 3, 1, 2)
    padded = functional.pad(images, (by,) * 4, mode="reflect")
    if is_channels_last(images):  # torch 2.11 compiles it channels first, for convolutions to copy
        padded = padded.contiguous(memory_format=torch.channels_last)
    return padded


def _keeps_pixels_together(images: Tensor) -> bool:
    """Return whether the GPU's 2D padding would copy to channels first and back."""
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
    """Return the gradient with its margins along `side` added to the pixels they mirror."""
    length = gradient.shape[side] - 2 * by
    inner = gradient.narrow(side, by, length).clone()
    inner.narrow(side, 1, by).add_(gradient.narrow(side, 0, by).flip(side))
    inner.narrow(side, length - 1 - by, by).add_(gradient.narrow(side, by + length, by).flip(side))
    return inner
