"""Tiles that are normalised pixel by pixel, by statistics between those of the tiles around."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan.tiling.engine import Block, Tell, TileEngine, silent
from cyclegan.tiling.moments import Moments
from cyclegan.tiling.rows import TiledPicture
from cyclegan.tiling.tiles import Grid, Tile, Tiler, cover


def dense(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """Twice through the picture in overlapping tiles: each tile's statistics, then the pixels.

    Local colour and contrast stay, where one mean for all of a very large picture washes them out.
    Ho et al. 2024, "Every Pixel Has its Moments: Ultra-High-Resolution Unpaired Image-to-Image
    Translation via Dense Normalization", section 3.2.
    """
    assert engine.reach is not None
    tiler, grid = Tiler(engine), Grid(picture.shape, engine.reach)
    noted = []
    for done, tile in enumerate(grid, 1):
        noted.append(tiler.note(picture.window(*tile.around)))
        tell(done / len(grid) / 2)
    fields = [_Field.of(grid, list(moments)) for moments in zip(*noted, strict=True)]

    def compute(tile: Tile, window: Tensor) -> Tensor:
        return tiler.compute(window, [field.around(tile).normalize for field in fields])

    yield from cover(grid, picture, compute, lambda share: tell((1 + share) / 2))


@dataclass(frozen=True)
class _Field:
    """One norm's statistics in every tile of a grid."""

    grid: Grid
    mean: Tensor
    """(C, rows, columns)"""
    deviation: Tensor
    """(C, rows, columns)"""

    @classmethod
    def of(cls, grid: Grid, moments: list[Moments]) -> "_Field":
        """`moments` of all tiles, row by row."""
        mean = torch.stack([each.mean for each in moments], 1).float()
        deviation = torch.stack([each.deviation for each in moments], 1).float()
        return cls(grid, mean.view(-1, *grid.size), deviation.view(-1, *grid.size))

    def around(self, tile: Tile) -> "_Window":
        return _Window(self, tile)


@dataclass(frozen=True)
class _Window:
    """The part of a field that a tile is made of."""

    field: _Field
    tile: Tile

    def normalize(self, part: Tensor) -> Tensor:
        """(1, C, h, w), a map of what lies around the tile, by each pixel's own statistics."""
        rows, columns = self.field.grid.size
        top, bottom, left, right = self.tile.around
        down = _shares(top, bottom, part.shape[2], self.field.grid.height, rows)
        across = _shares(left, right, part.shape[3], self.field.grid.width, columns)
        mean, deviation = (
            torch.einsum("cyx,hy,wx->chw", grid, down.to(grid), across.to(grid))
            for grid in (self.field.mean, self.field.deviation)
        )
        return ((part.float() - mean) / deviation).to(part.dtype)


def _shares(start: int, stop: int, places: int, side: int, tiles: int) -> Tensor:
    """(places, tiles): how much of each tile's figure a place takes, linear between centres."""
    centres = start + (torch.arange(places) + 0.5) * ((stop - start) / places)
    place = (centres / side - 0.5).clamp(0, tiles - 1)
    return (1 - (place[:, None] - torch.arange(tiles)).abs()).clamp_min(0)
