"""What keeping a data set's scaled images takes, before any of them is decoded."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan import images
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.data.settings import DataSettings

_LOOKED_AT = 64  # files: their headers are read in moments, from a network's disk too


def bytes_of_scaled(paths: Sequence[Path], settings: DataSettings) -> int:
    """Bytes of all scaled images, from the headers of some; 0 where none of them can be read."""
    mode = PREPROCESS[settings.preprocess]
    pixels, readable = 0, 0
    for path in paths[:: max(1, len(paths) // _LOOKED_AT)]:
        try:
            width, height = mode.scaled(images.size(path), settings)
        except images.UnreadableImageError:
            continue
        pixels += width * height
        readable += 1
    each = 3 * pixels / max(1, readable)  # bytes, as many as the most channels take
    return round(each * len(paths))
