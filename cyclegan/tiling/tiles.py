"""Overlapping tiles, reflected margins, and norms with given statistics."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cyclegan.device import sent
from cyclegan.execution.execution import Execution
from cyclegan.layers.normalization import InstanceNorm
from cyclegan.tiling.rows import Moments, Shape, TiledPicture
from cyclegan.tiling.stream import affine

SMALLEST = 8  # pixels: below it the innermost reflection padding has nothing to reflect


def padded_side(side: int) -> int:
    """Return the side in pixels that the network sees: a multiple of 4, `SMALLEST` at least."""
    return max(SMALLEST, -(-side // 4) * 4)


def margin(side: int) -> tuple[int, int]:
    """Return the pixels that are added before and after a side."""
    missing = padded_side(side) - side
    return missing // 2, missing - missing // 2


def reflected(images: Tensor) -> Tensor:
    """Add the margins of `Reflected` to images (N, C, H, W), on their device."""
    for axis in (2, 3):
        side = images.shape[axis]
        if padded_side(side) != side:
            images = images.index_select(axis, sent(torch.from_numpy(_places(side)), images.device))
    return images


def _places(side: int) -> npt.NDArray[np.intp]:
    """Return the source of each pixel of a padded side.

    Reflects at the borders as often as it takes: a picture may be one pixel wide.
    """
    return np.pad(np.arange(side), margin(side), mode="reflect")


@dataclass(frozen=True)
class Reflected:
    """A picture with its sides padded to what a network takes."""

    picture: TiledPicture
    _down: npt.NDArray[np.intp]
    _across: npt.NDArray[np.intp]

    @classmethod
    def of(cls, picture: TiledPicture) -> "Reflected":
        """Pad a picture of any size."""
        return cls(picture, _places(picture.shape.height), _places(picture.shape.width))

    @property
    def shape(self) -> Shape:
        """Shape with the margins."""
        return Shape(self.picture.shape.channels, len(self._down), len(self._across))

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Return (1, C, bottom - top, right - left)."""
        down, across = self._down[top:bottom], self._across[left:right]
        first, beginning = int(down.min()), int(across.min())
        inner = self.picture.window(first, int(down.max()) + 1, beginning, int(across.max()) + 1)
        if inner.shape[2:] == (len(down), len(across)):  # no margin in it
            return inner
        rows = torch.from_numpy(down - first)
        return inner[:, :, rows][:, :, :, torch.from_numpy(across - beginning)]


#: Hears which share of a picture is done, from 0 to 1.
Tell = Callable[[float], object]


def silent(share: float) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class TileEngine:
    """A trained network, laid out to be computed, and where it is computed."""

    network: nn.Module
    call: Callable[[Tensor], Tensor]
    """the network, computed as `execution` says; (N, C, H, W) -> (N, C', H, W)"""
    execution: Execution
    device: torch.device
    reach: int | None
    """receptive field to each side in pixels; None: the whole picture"""
    widest: int
    """channels of the maps at full size"""
    scratch: Path
    """scratch folder"""


@dataclass(frozen=True)
class Block:
    """A finished part of a picture."""

    top: int
    left: int
    pixels: Tensor
    """(C, h, w) in [-1, 1], on the CPU"""


Normalize = Callable[[Tensor], Tensor]

SIDE = 512  # pixels of a tile that are kept; Ho et al. 2024 take as many


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture, and the larger one that it is computed from."""

    row: int
    """in the grid of tiles"""
    column: int
    top: int
    bottom: int
    left: int
    right: int
    around: tuple[int, int, int, int]
    """top, bottom, left and right of the network's input"""

    def cut(self, made: Tensor) -> Block:
        """Return the tile's part of `made` (1, C, h, w), the network's output for `around`."""
        top, left = self.top - self.around[0], self.left - self.around[2]
        kept = made[0, :, top : top + self.bottom - self.top, left : left + self.right - self.left]
        return Block(self.top, self.left, kept.float().cpu())


@dataclass(frozen=True)
class Grid:
    """Tiles of nearly one size that cover a picture."""

    shape: Shape
    reach: int

    @property
    def height(self) -> int:
        """Height of a tile in pixels: a multiple of 4, as the network halves twice."""
        return _side(self.shape.height)

    @property
    def width(self) -> int:
        """Width of a tile in pixels: a multiple of 4."""
        return _side(self.shape.width)

    @property
    def size(self) -> tuple[int, int]:
        """Number of rows and columns of tiles."""
        return -(-self.shape.height // self.height), -(-self.shape.width // self.width)

    def __len__(self) -> int:
        return self.size[0] * self.size[1]

    def __iter__(self) -> Iterator[Tile]:
        for row in range(self.size[0]):
            for column in range(self.size[1]):
                yield self._tile(row, column)

    def _tile(self, row: int, column: int) -> Tile:
        top, left = row * self.height, column * self.width
        bottom = min(self.shape.height, top + self.height)
        right = min(self.shape.width, left + self.width)
        around = (
            max(0, top - self.reach),
            min(self.shape.height, bottom + self.reach),
            max(0, left - self.reach),
            min(self.shape.width, right + self.reach),
        )
        return Tile(row, column, top, bottom, left, right, around)


def _side(length: int) -> int:
    count = -(-length // SIDE)
    return -(-length // count // 4) * 4


def _by_its_own(part: Tensor) -> Tensor:
    return Moments.of(part).normalize(part)


class GivenNorm(nn.Module):
    """Norm of (1, C, H, W) by a replaceable function; `then` is applied afterwards."""

    def __init__(self, then: Normalize = lambda part: part) -> None:
        super().__init__()
        self.normalize: Normalize = _by_its_own
        self.then = then

    def forward(self, input: Tensor) -> Tensor:
        return self.then(self.normalize(input))


class Tiler:
    """A network that computes tiles, and whose norms take their statistics from outside."""

    def __init__(self, engine: TileEngine) -> None:
        network = copy.deepcopy(engine.network)
        self._norms = list(_replace_norms(network))
        self._call = replace(engine.execution, compiled=False).prepare_trained(network)
        self._device = engine.device

    def note(self, window: Tensor) -> list[Moments]:
        """Return each norm's statistics of `window` (1, C, h, w), which it normalises by them."""
        seen: list[Moments] = []

        def normalize(part: Tensor) -> Tensor:
            seen.append(Moments.of(part))
            return seen[-1].normalize(part)

        self.compute(window, [normalize] * len(self._norms))
        return seen

    def compute(self, window: Tensor, norms: Sequence[Normalize]) -> Tensor:
        """Compute (1, C, h, w) -> (1, C', h, w), each norm as `norms` say, in their order."""
        for norm, normalize in zip(self._norms, norms, strict=True):
            norm.normalize = normalize
        return self._call(window.to(self._device))


def _replace_norms(network: nn.Module) -> Iterator[GivenNorm]:
    """Replace each norm that looks at the image by a GivenNorm; yield these in order."""
    for parent in network.modules():
        for name, layer in parent.named_children():
            if isinstance(layer, InstanceNorm):
                parent.set_submodule(name, GivenNorm())
            elif isinstance(layer, nn.BatchNorm2d) and layer.running_mean is None:
                parent.set_submodule(name, GivenNorm(affine(layer)))
    for module in network.modules():
        if isinstance(module, GivenNorm):
            yield module


def cover(
    grid: Grid, picture: TiledPicture, compute: Callable[[Tile, Tensor], Tensor], tell: Tell
) -> Iterator[Block]:
    """Yield all of a picture, tile by tile."""
    for done, tile in enumerate(grid, 1):
        yield tile.cut(compute(tile, picture.window(*tile.around)))
        tell(done / len(grid))
