"""Sets of pictures as they are converted and compared, never through 8 bits again."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from cyclegan import images
from cyclegan.data.square import View
from cyclegan.errors import UserError

log = logging.getLogger(__name__)

AT_ONCE = 16  # pictures


def wholes(paths: Sequence[Path], view: View) -> Iterator[Tensor]:
    """Batches (N, C, H, W) in [-1, 1] of pictures as they are converted.

    Files that can't be read are passed over and told. Raises UserError where none can.
    """
    batch: list[Tensor] = []
    found = 0
    for path in paths:
        try:
            image = view.whole(path)
        except images.UnreadableImageError as error:
            log.warning("%s", error)
            continue
        batch.append(image)
        found += 1
        if len(batch) == (AT_ONCE if view.together else 1):
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)
    if not found:
        raise UserError(f"{paths[0].parent}: none of its {len(paths)} images can be read")


def cut(batches: Iterable[Tensor], view: View) -> Iterator[Tensor]:
    """Whole pictures (N, C, H, W) -> the squares of them that are compared (M, C, side, side)."""
    for batch in batches:
        yield torch.cat([view.cut(image) for image in batch])


def squares(paths: Sequence[Path], view: View) -> Iterator[Tensor]:
    """Batches (N, C, side, side) in [-1, 1] of what is compared of the pictures, as `wholes`."""
    return cut(wholes(paths, view), view)


def spread_out(paths: Sequence[Path], count: int | None) -> list[Path]:
    """At most `count` of `paths`, from all over: files that lie side by side are often alike."""
    if count is None or count >= len(paths):
        return list(paths)
    return [paths[place * len(paths) // count] for place in range(count)]
