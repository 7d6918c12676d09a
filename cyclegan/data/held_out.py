"""The same few images, looked at again and again while training."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from cyclegan import images
from cyclegan.data import DataSettings
from cyclegan.data.feed import Batch
from cyclegan.data.folders import list_images
from cyclegan.data.square import Square
from cyclegan.errors import UserError


def held_out(
    settings: DataSettings, folders: tuple[Path, Path], channels: tuple[int, int], count: int
) -> Batch:
    """At most `count` images of each domain, cut to squares of crop_size: nothing is random.

    `folders` hold the domains' images, best such as are not trained on. Raises UserError where
    none can be read.
    """
    a, b = (
        _squares(list_images(folder), Square(settings.crop_size, number, settings.range), count)
        for folder, number in zip(folders, channels, strict=True)
    )
    if len(b) == 1:  # one painting for all photographs
        b = b * len(a)
    both = min(len(a), len(b))
    return Batch(torch.stack(a[:both]), torch.stack(b[:both]))


def _squares(paths: Sequence[Path], square: Square, count: int) -> list[Tensor]:
    """From all over the folder: images that lie side by side are often alike."""
    found: list[Tensor] = []
    count = min(count, len(paths))
    ends = [part * len(paths) // count for part in range(count + 1)]
    for start, end in pairwise(ends):
        image = _first_readable(paths[start:end], square)
        if image is not None:
            found.append(image)
    if not found:
        raise UserError(f"{paths[0].parent}: none of its {len(paths)} images can be read")
    return found


def _first_readable(paths: Sequence[Path], square: Square) -> Tensor | None:
    for path in paths:
        try:
            return square.of(path)
        except images.UnreadableImageError:
            continue
    return None
