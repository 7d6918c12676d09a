"""Overlapping tiles, and norms whose statistics come from elsewhere."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from cyclegan.layers.normalization import InstanceNorm
from cyclegan.tiling.engine import Block, Tell, TileEngine
from cyclegan.tiling.moments import Moments
from cyclegan.tiling.rows import Shape, TiledPicture
from cyclegan.tiling.stream import affine

Normalize = Callable[[Tensor], Tensor]

SIDE = 512  # pixels of a tile that are kept; Ho et al. 2024 take as many


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture, and the larger one that it is made of."""

    row: int
    """in the grid of tiles"""
    column: int
    top: int
    bottom: int
    left: int
    right: int
    around: tuple[int, int, int, int]
    """top, bottom, left and right of what the network is given"""

    def cut(self, made: Tensor) -> Block:
        """What is kept of `made` (1, C, h, w) from all around."""
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
        """Of a tile in pixels: a multiple of 4, as the network halves twice."""
        return _side(self.shape.height)

    @property
    def width(self) -> int:
        """Of a tile in pixels."""
        return _side(self.shape.width)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
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
    """Normalises (1, C, H, W) by a function that can be put in its place; `then` comes after."""

    def __init__(self, then: Normalize = lambda part: part) -> None:
        super().__init__()
        self.normalize: Normalize = _by_its_own
        self.then = then

    def forward(self, input: Tensor) -> Tensor:
        return self.then(self.normalize(input))


class Tiler:
    """A network whose norms take their statistics from outside, and how a tile is computed."""

    def __init__(self, engine: TileEngine) -> None:
        network = copy.deepcopy(engine.network)
        self._norms = list(_replace_norms(network))
        self._call = replace(engine.execution, compiled=False).prepare_trained(network)
        self._device = engine.device

    def note(self, window: Tensor) -> list[Moments]:
        """The statistics that each norm sees in `window` (1, C, h, w), normalised by its own."""
        seen: list[Moments] = []

        def normalize(part: Tensor) -> Tensor:
            seen.append(Moments.of(part))
            return seen[-1].normalize(part)

        self.compute(window, [normalize] * len(self._norms))
        return seen

    def compute(self, window: Tensor, norms: Sequence[Normalize]) -> Tensor:
        """(1, C, h, w) -> (1, C', h, w), each norm as `norms` say, in their order."""
        for norm, normalize in zip(self._norms, norms, strict=True):
            norm.normalize = normalize
        return self._call(window.to(self._device))


def _replace_norms(network: nn.Module) -> Iterator[GivenNorm]:
    """Put a GivenNorm in the place of each norm that looks at the image; in their order."""
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
    """All of a picture, tile by tile."""
    for done, tile in enumerate(grid, 1):
        yield tile.cut(compute(tile, picture.window(*tile.around)))
        tell(done / len(grid))
