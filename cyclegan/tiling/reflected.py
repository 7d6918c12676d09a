"""A picture with reflected margins, whatever its size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cyclegan.device import sent
from cyclegan.tiling.rows import Shape, TiledPicture

SMALLEST = 8  # pixels: below it the innermost reflection padding has nothing to reflect


def padded_side(side: int) -> int:
    """The side in pixels that the network sees: a multiple of 4, and no less than it needs."""
    return max(SMALLEST, -(-side // 4) * 4)


def margin(side: int) -> tuple[int, int]:
    """Pixels that are added before and after a side of so many."""
    missing = padded_side(side) - side
    return missing // 2, missing - missing // 2


def reflected(images: Tensor) -> Tensor:
    """(N, C, H, W) on any device -> with the margins of `Reflected`, there."""
    for axis in (2, 3):
        side = images.shape[axis]
        if padded_side(side) != side:
            images = images.index_select(axis, sent(torch.from_numpy(_places(side)), images.device))
    return images


def _places(side: int) -> npt.NDArray[np.intp]:
    """Where each pixel of a padded side comes from.

    Reflects at the borders as often as it takes: a picture may be one pixel wide.
    """
    return np.pad(np.arange(side), margin(side), mode="reflect")


@dataclass(frozen=True)
class Reflected:
    """`picture`, its sides padded to what a network takes."""

    picture: TiledPicture
    _down: npt.NDArray[np.intp]
    _across: npt.NDArray[np.intp]

    @classmethod
    def of(cls, picture: TiledPicture) -> "Reflected":
        """A picture of any size."""
        return cls(picture, _places(picture.shape.height), _places(picture.shape.width))

    @property
    def shape(self) -> Shape:
        """With the margins."""
        return Shape(self.picture.shape.channels, len(self._down), len(self._across))

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, C, bottom - top, right - left)"""
        down, across = self._down[top:bottom], self._across[left:right]
        first, beginning = int(down.min()), int(across.min())
        inner = self.picture.window(first, int(down.max()) + 1, beginning, int(across.max()) + 1)
        if inner.shape[2:] == (len(down), len(across)):  # no margin in it
            return inner
        rows = torch.from_numpy(down - first)
        return inner[:, :, rows][:, :, :, torch.from_numpy(across - beginning)]
