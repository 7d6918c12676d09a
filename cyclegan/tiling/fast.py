"""Tiles that are normalised by the statistics of a reduced copy of the picture."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.tiling.engine import Block, Tell, TileEngine, silent
from cyclegan.tiling.rows import TiledPicture
from cyclegan.tiling.tiles import Grid, Tiler, cover

THUMBNAIL = 1024  # pixels of the reduced copy's longer side


def fast(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """Once through the picture, in overlapping tiles, all with the same statistics: no seams.

    Chen et al. 2022, "Towards Ultra-Resolution Neural Style Transfer via Thumbnail Instance
    Normalization", section 3.2. How far a reduced copy's statistics are from the whole picture's
    depends on how fine its detail is.
    """
    tiler = Tiler(engine)
    norms = [moments.normalize for moments in tiler.note(_thumbnail(picture))]
    assert engine.reach is not None
    grid = Grid(picture.shape, engine.reach)
    yield from cover(grid, picture, lambda tile, window: tiler.compute(window, norms), tell)


def _thumbnail(picture: TiledPicture) -> Tensor:
    """(1, C, h, w): the picture, its longer side scaled down to what the network takes at once."""
    shape = picture.shape
    scale = min(1.0, THUMBNAIL / max(shape.height, shape.width))
    height, width = (max(8, round(side * scale / 4) * 4) for side in (shape.height, shape.width))
    if (height, width) == (shape.height, shape.width):
        return picture.window(0, height, 0, width)
    # Columns first, in bands: the picture is never whole in memory.
    narrow = torch.cat(
        [
            functional.interpolate(
                picture.window(top, min(shape.height, top + _BAND), 0, shape.width),
                size=(min(shape.height, top + _BAND) - top, width),
                mode="bilinear",
                antialias=True,
            )
            for top in range(0, shape.height, _BAND)
        ],
        dim=2,
    )
    return functional.interpolate(narrow, size=(height, width), mode="bilinear", antialias=True)


_BAND = 256  # rows
