"""Tiling that gives what the whole picture gives: bands of rows through one layer after another."""

import itertools
from collections.abc import Iterator

import psutil
import torch

from cyclegan.errors import UserError
from cyclegan.tiling.rows import First, Scratch, Shape, TiledPicture, bands
from cyclegan.tiling.stream import maps_kept, stream
from cyclegan.tiling.tiles import Block, Tell, TileEngine, silent

#: Bytes of one band of the widest map; some such bands are alive at a time.
BAND = 96 << 20
#: Maps of a quarter of the size that are on disk at the same time: a block's input, and what its
#: two convolutions make.
MAPS = 3


def exact(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """Go through the picture once for each norm, then once more; up to rounding, nothing is lost.

    A norm's mean and variance are those of the whole map, so they are known only after a pass.
    What is large is computed again in the next pass, what is small goes through scratch files.
    Raises UserError where the disk has no room for them.
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
    """What scratch files take at the most."""
    size = engine.execution.cast(torch.empty(1, 1, 1, 1)).element_size()
    return MAPS * _limit(shape, engine) * size


def _limit(shape: Shape, engine: TileEngine) -> int:
    """Elements of a map of a quarter of the size, which has four times the channels."""
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
