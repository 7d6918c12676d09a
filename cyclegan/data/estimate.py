"""What keeping a data set's scaled images takes, before any of them is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclegan import images
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.data.settings import DataSettings

_LOOKED_AT = 64  # files: their headers are read in moments, from a network's disk too


@dataclass(frozen=True)
class Estimate:
    """From a sample of the images, spread over all of them."""

    bytes: int
    """of all scaled images; 0 where none of the sample can be read"""
    shrinks: bool
    """whether scaling leaves fewer pixels than the files hold"""


def estimate(paths: Sequence[Path], settings: DataSettings) -> Estimate:
    """Look at the headers of some of the files."""
    mode = PREPROCESS[settings.preprocess]
    before, after, readable = 0, 0, 0
    for path in paths[:: max(1, len(paths) // _LOOKED_AT)]:
        try:
            width, height = images.size(path)
        except images.UnreadableImageError:
            continue
        scaled_width, scaled_height = mode.scaled((width, height), settings)
        before += width * height
        after += scaled_width * scaled_height
        readable += 1
    each = 3 * after / max(1, readable)  # bytes, as many as the most channels take
    return Estimate(round(each * len(paths)), after < before)
