"""Tiling modes by the names that `--tile` takes."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.errors import UserError
from cyclegan.tiling.rows import First, Moments, Scratch, Shape, TiledPicture, bands
from cyclegan.tiling.stream import maps_kept, stream
from cyclegan.tiling.tiles import Block, Grid, Tell, Tile, TileEngine, Tiler, cover, silent

#: Bytes of one band of the widest map; some such bands are alive at a time.
BAND = 96 << 20
#: Maps of a quarter of the size that are on disk at the same time: a block's input, and what its
#: two convolutions make.
MAPS = 3


def exact(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """Pass over the picture once for each norm, then once more; exact up to rounding.

    A norm's mean and variance are those of the whole map, so they are known only after a pass.
    Large maps are computed again in the next pass, small ones go through scratch files. Raises
    UserError where the disk has no room for them.
    """
    shape, size = picture.shape, 4 * engine.widest
    count = max(1, -(-shape.height * shape.width * size // BAND))
    count = min(count, shape.height // 4)
    _check_room(shape, engine)
    steps, total = itertools.count(1), (maps_kept(engine.network) + 1) * count

    def tick() -> None:
        tell(min(1.0, next(steps) / total))

    scratch = Scratch(engine.scratch, count, _limit(shape, engine), tick)
    first = First(picture, lambda rows: engine.execution.cast(rows.to(engine.device)))
    made = stream(engine.network, first, scratch)
    for start, stop in bands(shape.height, count):
        yield Block(start, 0, made.rows(start, stop)[0].float().cpu())
        tick()


def scratch_bytes(shape: Shape, engine: TileEngine) -> int:
    """Return the most bytes that scratch files take."""
    size = engine.execution.cast(torch.empty(1, 1, 1, 1)).element_size()
    return MAPS * _limit(shape, engine) * size


def _limit(shape: Shape, engine: TileEngine) -> int:
    """Return the elements of a map at a quarter of the size, with four times the channels."""
    return shape.height * shape.width * engine.widest // 4


def _check_room(shape: Shape, engine: TileEngine) -> None:
    needed = scratch_bytes(shape, engine)
    free = psutil.disk_usage(str(engine.scratch)).free
    if needed > free:
        raise UserError(
            f"{shape.width}x{shape.height} pixels need {needed / 2**30:.1f} GiB of scratch space, "
            f"{engine.scratch} has {free / 2**30:.1f}: --scratch DIR names another folder, "
            "--tile fast needs none"
        )


THUMBNAIL = 1024  # pixels of the reduced copy's longer side


def fast(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """Pass over the picture once, in overlapping tiles with the same statistics: no seams.

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
    """Return the picture (1, C, h, w), scaled down to what the network takes at once."""
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


def dense(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """Pass over the overlapping tiles twice: each tile's statistics, then the pixels.

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
        """Make the field of `moments` of all tiles, row by row."""
        mean = torch.stack([each.mean for each in moments], 1).float()
        deviation = torch.stack([each.deviation for each in moments], 1).float()
        return cls(grid, mean.view(-1, *grid.size), deviation.view(-1, *grid.size))

    def around(self, tile: Tile) -> "_Window":
        return _Window(self, tile)


@dataclass(frozen=True)
class _Window:
    """The part of a field for a tile and what lies around it."""

    field: _Field
    tile: Tile

    def normalize(self, part: Tensor) -> Tensor:
        """Normalise a map (1, C, h, w) around the tile by each pixel's own statistics."""
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
    """Return the weight of each tile at each place, linear between centres: (places, tiles)."""
    centres = start + (torch.arange(places) + 0.5) * ((stop - start) / places)
    place = (centres / side - 0.5).clamp(0, tiles - 1)
    return (1 - (place[:, None] - torch.arange(tiles)).abs()).clamp_min(0)


def whole(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """Compute the whole picture at once; no progress is reported."""
    shape = picture.shape
    window = picture.window(0, shape.height, 0, shape.width)
    yield Block(0, 0, engine.call(window.to(engine.device))[0].float().cpu())


#: The one table of them; "auto" chooses among them.
TILES: dict[str, Callable[..., Iterator[Block]]] = {
    "off": whole,
    "exact": exact,
    "fast": fast,
    "dense": dense,
}
