"""Sets of pictures as they are compared: squares of one size, never through 8 bits again."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from cyclegan import images
from cyclegan.data.square import Square
from cyclegan.errors import UserError

log = logging.getLogger(__name__)

AT_ONCE = 16  # pictures


def squares(paths: Sequence[Path], square: Square) -> Iterator[Tensor]:
    """Batches (N, C, side, side) in [-1, 1]: the middle square of each picture, scaled.

    Files that can't be read are passed over and told. Raises UserError where none can.
    """
    batch: list[Tensor] = []
    found = 0
    for path in paths:
        try:
            image = square.of(path)
        except images.UnreadableImageError as error:
            log.warning("%s", error)
            continue
        batch.append(image)
        found += 1
        if len(batch) == AT_ONCE:
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)
    if not found:
        raise UserError(f"{paths[0].parent}: none of its {len(paths)} images can be read")


def spread_out(paths: Sequence[Path], count: int | None) -> list[Path]:
    """At most `count` of `paths`, from all over: files that lie side by side are often alike."""
    if count is None or count >= len(paths):
        return list(paths)
    return [paths[place * len(paths) // count] for place in range(count)]
