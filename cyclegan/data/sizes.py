"""Sizes are looked at before training, not hours into it."""

from collections.abc import Iterable
from pathlib import Path

from cyclegan import images
from cyclegan.data import DataSettings
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.errors import UserError


def check_sizes(
    paths: Iterable[Path], settings: DataSettings, *, smallest_side: int, alike: bool
) -> None:
    """Raise UserError naming an image that these settings can't train on.

    `smallest_side` in pixels is what the networks need; `alike` asks for one size overall, as
    batches do. Reads file headers, and none where every image is scaled to the same square.
    """
    mode = PREPROCESS[settings.preprocess]
    if settings.preprocess == "resize_and_crop":
        return
    first: tuple[Path, tuple[int, int]] | None = None
    for path in paths:
        try:
            size = images.size(path)
        except images.UnreadableImageError:
            continue  # counted and passed over when it is its turn
        scaled = mode.scaled(size, settings)
        if mode.crops and min(scaled) < settings.crop_size:
            raise UserError(
                f"{path}: {_text(scaled)} is smaller than --crop_size {settings.crop_size}: "
                "give a smaller --crop_size or --preprocess resize_and_crop"
            )
        result = mode.result(size, settings)
        if min(result) < smallest_side:
            raise UserError(
                f"{path}: {_text(result)} is too small, the networks need {smallest_side} pixels: "
                "leave it out or use --preprocess resize_and_crop"
            )
        first = first or (path, result)
        if alike and result != first[1]:
            raise UserError(
                f"{path} is {_text(result)} and {first[0]} is {_text(first[1])}: a batch needs one "
                "size; give --batch_size 1 or --preprocess resize_and_crop"
            )


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
