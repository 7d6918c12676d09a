"""Files that hold more than 8 bits, or other channels than colours, for training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan.errors import UserError
from cyclegan.images import eight_bit
from cyclegan.images.dicom import open_dicom
from cyclegan.images.document import open_document, reading
from cyclegan.images.eight_bit import Size, UnreadableImageError, lies_sideways, open_image
from cyclegan.images.formats import format_of
from cyclegan.images.picture import Picture
from cyclegan.images.tiff import storage


def is_deep(path: Path, channels: int) -> bool:
    """Whether 8-bit grayscale or colour would lose what `path` holds; reads its header."""
    if channels not in (1, 3):
        return True
    try:
        format = format_of(path)
        return format is not None and _IS_DEEP.get(format.name, _has_deep_mode)(path)
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
    with reading(path):
        format = format_of(path)
        measure = _SIZES.get(format.name, eight_bit.size) if format else eight_bit.size
        width, height = measure(path)
        if not width or not height:
            raise OSError(f"it is {width}x{height} pixels")
        return width, height


def _size_of_array(path: Path) -> Size:
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    return int(shape[1]), int(shape[0])


def _size_of_slice(path: Path) -> Size:
    header = open_dicom(path, pixels=False)
    return int(header.Columns), int(header.Rows)


def _size_of_tiff(path: Path) -> Size:
    if storage(path).pillows:
        return eight_bit.size(path)
    import tifffile

    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        size = int(page.imagewidth), int(page.imagelength)
        return size[::-1] if lies_sideways(page.tags.valueof(274, 1)) else size


def _has_sixteen_bits(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(26)[24:25] == b"\x10"


def _has_deep_mode(path: Path) -> bool:
    try:
        with open_image(path) as image:
            return image.mode == "F" or image.mode.startswith("I")
    except Exception:  # whoever reads it says what is wrong
        return False


def _never(path: Path) -> bool:
    return False


def _always(path: Path) -> bool:
    return True


#: By the name of a format: whether a file of it is deep, and its size where Pillow doesn't know it.
_IS_DEEP: dict[str, Callable[[Path], bool]] = {
    "PNG": _has_sixteen_bits,
    "TIFF": lambda path: storage(path).deep,
    "NPY": _always,
    "DICOM": _always,
    **dict.fromkeys(("JPEG", "WEBP", "GIF", "BMP"), _never),
}
_SIZES: dict[str, Callable[[Path], Size]] = {
    "TIFF": _size_of_tiff,
    "NPY": _size_of_array,
    "DICOM": _size_of_slice,
}
