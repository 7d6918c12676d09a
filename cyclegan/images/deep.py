"""Files that hold more than 8 bits, or other channels than colours, for training."""

from pathlib import Path
from typing import Any

import numpy as np

from cyclegan.errors import UserError
from cyclegan.images import eight_bit
from cyclegan.images.document import is_deep_tiff, open_document, opens_dicom, reading
from cyclegan.images.eight_bit import Size, UnreadableImageError
from cyclegan.images.picture import Picture


def is_deep(path: Path, channels: int) -> bool:
    """Whether 8-bit grayscale or colour would lose what `path` holds; reads its header."""
    suffix = path.suffix.lower()
    if channels not in (1, 3) or suffix in (".npy", ".dcm"):
        return True
    try:
        if suffix == ".png":
            with path.open("rb") as file:
                return file.read(26)[24:25] == b"\x10"
        return suffix in (".tif", ".tiff") and is_deep_tiff(path)
    except OSError:  # whoever reads it says what is wrong
        return False


def read_deep(path: Path, channels: int, values: tuple[float, float] | None) -> Picture:
    """The first picture of a file with all its bits, upright; `values` are as in `open_document`.

    Raises UnreadableImageError, naming the file and the reason.
    """
    for picture in open_document(path, values).pictures:
        try:
            return picture.with_channels(channels)
        except UserError as error:
            raise UnreadableImageError(f"{path}: {error}") from None
    raise UnreadableImageError(f"{path}: holds no picture")


def read_whole(path: Path) -> Size:
    """The size of a deep file's first picture, all of which was decoded; whatever its values."""
    for picture in open_document(path, (0.0, 1.0)).pictures:
        return picture.size
    raise UnreadableImageError(f"{path}: holds no picture")


def size(path: Path) -> Size:
    """Width and height of the upright picture, from the file's header alone.

    Raises UnreadableImageError, naming the file and the reason.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        with reading(path):
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return int(shape[1]), int(shape[0])
    if suffix == ".dcm":
        with reading(path):
            header = opens_dicom(path, pixels=False)
            return int(header.Columns), int(header.Rows)
    try:
        return eight_bit.size(path)
    except UnreadableImageError:
        if suffix not in (".tif", ".tiff") or not is_deep_tiff(path):
            raise
        return _size_of_tiff(path)


def _size_of_tiff(path: Path) -> Size:
    """Of a TIFF that Pillow doesn't know."""
    import tifffile

    with reading(path), tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        return int(page.imagewidth), int(page.imagelength)
