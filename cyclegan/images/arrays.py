"""Pictures made of arrays of any type, and files of NumPy's arrays."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cyclegan.errors import UserError
from cyclegan.images import Encoding
from cyclegan.images.codec import Codec
from cyclegan.images.picture import RANGES, Array, Document, Picture, Range, Size
from cyclegan.images.tags import Tags


@dataclass(frozen=True)
class Meaning:
    """The meaning of a file's numbers."""

    has_alpha: bool | None = None
    """whether the last channel is transparency; None where the number of channels says it"""
    white_is_low: bool = False
    """whether the lowest value is white"""
    hollow: Array | None = None
    """(H, W) of bool: nodata pixels; None if there are none"""


PLAIN = Meaning()


def of_array(array: Array, values: Range | None, tags: Tags, meaning: Meaning = PLAIN) -> Picture:
    """Return the picture of (H, W) or (H, W, C); of 2 or 4 channels the last one is alpha.

    Raises UserError if its values have no range and none is given.
    """
    if array.ndim not in (2, 3):
        raise UserError(f"an array of shape {array.shape}: expected (H, W) or (H, W, C)")
    if not array.size:
        raise UserError(f"damaged image (it is {array.shape[1]}x{array.shape[0]} pixels)")
    if array.dtype.kind not in "uif":
        raise UserError(f"{array.dtype} values can't be levels of gray or colour")
    pixels = array[:, :, None] if array.ndim == 2 else array
    alpha = None
    if meaning.has_alpha is not False and pixels.shape[2] in (2, 4):
        pixels, alpha = pixels[:, :, :-1], pixels[:, :, -1]
    if values is None and pixels.dtype in (np.int32, np.uint32) and _fits(pixels, 65535):
        pixels = pixels.astype(np.uint16)  # Pillow's "I" are no more, mostly
    hollow = hollow_in(pixels, meaning.hollow)
    found = values or RANGES.get(pixels.dtype.name)
    if found is None:
        low, high = _ends(pixels, hollow)
        raise UserError(
            f"{pixels.dtype} values have no known range: --range LOW HIGH gives the values of "
            f"black and white (the file's are {low:g} to {high:g})"
        )
    if meaning.white_is_low:
        pixels = _inverted(pixels, found, hollow)
    return seen(Picture(np.ascontiguousarray(pixels), found, alpha, tags), hollow)


def seen(picture: Picture, hollow: Array | None) -> Picture:
    """Return the picture, marked where no generator should see it.

    To a generator, what hides under full transparency is white, and pixels without a value are the
    mean of the rest.
    """
    hidden = None if picture.alpha is None else picture.alpha == 0
    if hidden is not None and hidden.any():
        unseen = hidden if hollow is None else hidden | hollow
        return replace(picture, unseen=unseen, instead=picture.range.high)
    if hollow is None:
        return picture
    there = picture.pixels[~hollow]
    mean = float(there.mean(dtype=np.float64)) if there.size else picture.range.low
    return replace(picture, unseen=hollow, instead=mean)


def hollow_in(pixels: Array, marked: Array | None) -> Array | None:
    """Return (H, W) of bool: pixels (H, W, C) without a value, or marked so; None if all have one.

    Raises UserError if none is a number.
    """
    floats = pixels.dtype.kind == "f"
    hollow: Array = np.zeros(pixels.shape[:2], bool)
    if floats:
        hollow = np.logical_not(np.isfinite(pixels).all(axis=2))
    if hollow.all():
        raise UserError("all values are NaN or infinite")
    if marked is not None:
        hollow |= marked
    return hollow if hollow.any() else None


def full_scale(pixels: Array, bits: int) -> Array:
    """Scale unsigned values of `bits` bits to the full range of their type."""
    if pixels.dtype.kind != "u" or bits >= 8 * pixels.dtype.itemsize:
        return pixels
    factor = np.iinfo(pixels.dtype).max / (2**bits - 1)
    scaled: Array = (pixels * factor).round().astype(pixels.dtype)
    return scaled


def _ends(pixels: Array, hollow: Array | None) -> tuple[float, float]:
    there = pixels if hollow is None or hollow.all() else pixels[~hollow]
    return float(there.min()), float(there.max())


def _inverted(pixels: Array, range: Range, hollow: Array | None) -> Array:
    """Return the same picture in values that are white where they are high."""
    turned = range.low + range.high - pixels.astype(np.float64)
    if pixels.dtype.kind != "f":
        limits = np.iinfo(pixels.dtype)
        turned = turned.round().clip(limits.min, limits.max)
    made = turned.astype(pixels.dtype)
    if hollow is not None:
        made[hollow] = pixels[hollow]
    return made


def _fits(pixels: Array, top: int) -> bool:
    return int(pixels.min()) >= 0 and int(pixels.max()) <= top


#: By EXIF's orientation: what makes rows and columns upright.
_TURN: dict[int, Callable[[Array], Array]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


def turned(pixels: Array, orientation: int) -> Array:
    """Return the pixels upright, by EXIF's orientation."""
    return _TURN[orientation](pixels) if orientation in _TURN else pixels


def _read(path: Path, values: Range | None) -> Document:
    array = np.load(path, allow_pickle=False)
    return Document([of_array(array, values, Tags(), Meaning(has_alpha=False))])


def _size(path: Path) -> Size:
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    return int(shape[1]), int(shape[0])


def _write(file: Path, pictures: Iterable[Picture], like: Document, how: Encoding) -> None:
    pixels = next(iter(pictures)).pixels
    with file.open("wb") as open_file:
        np.save(open_file, pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


NPY = Codec(_read, _write, lambda path: True, _size)
