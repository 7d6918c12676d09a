"""A file of one picture, of many pages, or of frames that move."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from cyclegan.errors import UserError
from cyclegan.images.arrays import Meaning, of_array, seen, turned
from cyclegan.images.deep_png import is_deep_png, read_deep_png
from cyclegan.images.dicom import read_slices
from cyclegan.images.eight_bit import Size, UnreadableImageError, open_image, reason
from cyclegan.images.formats import format_of
from cyclegan.images.picture import RANGES, Array, Picture, Range
from cyclegan.images.profiles import Native, on_screen, transforms
from cyclegan.images.tags import Tags
from cyclegan.images.tiff import read_pages, storage
from cyclegan.tiff_pages import count_pages


@dataclass(frozen=True)
class Document:
    """The pictures of a file, one after the other; read as they are asked for."""

    pictures: Iterable[Picture]
    count: int = 1
    moving: dict[str, Any] = field(default_factory=dict)
    """durations and repetitions of an animation; empty for pages"""
    size: Size | None = None
    """of its picture as it lies in the file, where the header says it; None of several"""


def open_document(path: Path, values: tuple[float, float] | None = None) -> Document:
    """Open a file; `values` are those that are -1 and 1, for types that have no range.

    Raises UnreadableImageError, naming the file and the reason; so does reading its pictures.
    """
    with reading(path):
        given = None if values is None else Range(*values)
        opened = _opener(path)(path, given)
        return replace(opened, pictures=_checked(path, opened.pictures))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in whatever a decoder raises."""
    try:
        yield
    except UnreadableImageError:  # names it already
        raise
    except UserError as error:
        raise UnreadableImageError(f"{path}: {error}") from None
    except Exception as error:  # decoders raise nearly every kind
        raise UnreadableImageError(f"{path}: {reason(path, error)}") from error


def _checked(path: Path, pictures: Iterable[Picture]) -> Iterator[Picture]:
    coming = iter(pictures)
    while True:
        with reading(path):
            picture = next(coming, None)
        if picture is None:
            return
        yield picture


Opener = Callable[[Path, Range | None], Document]


def _opener(path: Path) -> Opener:
    format = format_of(path)
    return _OPENERS.get(format.name, _pillow) if format else _pillow


# Pillow: all that has 8 bits, and one channel of 16 or of floats.


def _pillow(path: Path, values: Range | None) -> Document:
    image = open_image(path)
    count = count_pages(path) if image.format == "TIFF" else getattr(image, "n_frames", 1)
    if count == 1 or image.format not in (*_PAGES, *_MOVE):
        return Document(_frames(image, values), size=image.size)
    if image.format in _PAGES:
        return Document(_frames(image, values), count)
    loop = {"loop": image.info["loop"]} if "loop" in image.info else {}
    durations = [_duration(frame) for frame in ImageSequence.Iterator(image)]
    image.seek(0)
    count = len(durations)  # which need not be what the header claims
    return Document(_frames(image, values), count, {"duration": durations, **loop})


#: Formats of several pictures: not those of a second view (MPO), or of layers (PSD).
_PAGES = frozenset({"TIFF", "DCX"})
_MOVE = frozenset({"GIF", "WEBP", "PNG", "AVIF", "FLI"})


def _duration(frame: Image.Image) -> int:
    """Milliseconds that a frame is shown."""
    if frame.format == "WEBP":  # it is known when the frame is decoded
        frame.load()
    return int(frame.info.get("duration", 0) or 0)


def _frames(image: Image.Image, values: Range | None) -> Iterator[Picture]:
    with image:
        several = image.format in (*_PAGES, *_MOVE)
        for frame in ImageSequence.Iterator(image) if several else [image]:
            frame.load()
            yield _of_pillow(frame, values)


def _of_pillow(image: Image.Image, values: Range | None) -> Picture:
    tags = Tags.of(image)
    upright = image
    with suppress(Exception):  # as with Tags: damaged EXIF
        if _is_turned(image):  # else it would be copied
            upright = ImageOps.exif_transpose(image)
            tags = tags.of_other_size()
    if upright.mode == "F" or upright.mode.startswith("I"):
        return of_array(np.asarray(upright), values, tags)
    colour, alpha = _parted(upright)
    tags = tags.fitting(colour.mode)
    ways, native = transforms(tags.profile, colour.mode), None
    if ways and ways[1]:
        native = Native(np.asarray(colour), ways[1])
        colour = ways[0](colour)
    pixels = np.asarray(colour)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return seen(Picture(pixels, RANGES["uint8"], alpha, tags, native=native), None)


def _parted(image: Image.Image) -> tuple[Image.Image, Array | None]:
    """The colours as L or RGB, and how opaque they are where that is said."""
    if image.has_transparency_data:
        with_alpha = image.convert("LA" if image.mode in ("L", "LA", "La", "1") else "RGBA")
        plain = "L" if with_alpha.mode == "LA" else "RGB"
        return with_alpha.convert(plain), np.asarray(with_alpha.getchannel("A"))
    if image.mode in ("L", "RGB"):
        return image, None
    if image.mode in ("CMYK", "LAB"):
        return on_screen(image, image.info.get("icc_profile")).convert("RGB"), None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _is_turned(image: Image.Image) -> bool:
    return bool(image.getexif().get(_ORIENTATION, 1) != 1)


_ORIENTATION = 0x0112


# PNG with 16 bits a channel: Pillow would cut them to 8.


def _png(path: Path, values: Range | None) -> Document:
    return Document(_deep_frames(path, values)) if is_deep_png(path) else _pillow(path, values)


def _deep_frames(path: Path, values: Range | None) -> Iterator[Picture]:
    with open_image(path) as header:
        tags = Tags.of(header)
        orientation = header.getexif().get(_ORIENTATION, 1)
    yield of_array(turned(read_deep_png(path), orientation), values, tags)


# TIFF: what Pillow would cut or misread.


def _tiff(path: Path, values: Range | None) -> Document:
    if storage(path).pillows:
        return _pillow(path, values)
    import tifffile

    with tifffile.TiffFile(path) as file:
        count = len(file.pages)
    return Document(read_pages(path, values, count), count)


# Arrays and medical images.


def _npy(path: Path, values: Range | None) -> Document:
    array = np.load(path, allow_pickle=False)
    return Document([of_array(array, values, Tags(), Meaning(has_alpha=False))])


def _dicom(path: Path, values: Range | None) -> Document:
    slices = read_slices(path, values)
    return Document(slices, len(slices))


#: The one table of what Pillow doesn't read, or not all of it.
_OPENERS: dict[str, Opener] = {"PNG": _png, "TIFF": _tiff, "NPY": _npy, "DICOM": _dicom}
