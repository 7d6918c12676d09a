"""Reading with Pillow: all that has 8 bits, and one channel of 16 bits or of floats."""

import ctypes
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import (
    EpsImagePlugin,
    Image,
    ImageOps,
    ImageSequence,
    PngImagePlugin,
    UnidentifiedImageError,
    _imaging,
)

from cyclegan.errors import UserError
from cyclegan.images.arrays import of_array, seen
from cyclegan.images.formats import PILLOWS
from cyclegan.images.picture import RANGES, Array, Document, Picture, Range, Size
from cyclegan.images.tags import SIDEWAYS, Native, Tags, on_screen, orientation_of, transforms


class UnreadableImageError(UserError):
    """A file that is no image, or not a whole one."""


def open_image(file: Path | BytesIO) -> Image.Image:
    """Open a file of one of the formats that are read here, whatever it is called.

    Raises what Pillow does, and UserError for a side that the format can't have.
    """
    image = Image.open(file, formats=_decoders())
    format = PILLOWS[image.format or ""]
    if format.longest is not None and max(image.size) > format.longest:
        raise UserError(
            f"damaged: a side of {max(image.size)} pixels, where {format.name} has at most "
            f"{format.longest}"
        )
    # Of a row that is longer than what Pillow reads at once, it copies what it has each time.
    image.decodermaxblock = max(image.decodermaxblock, _PIXEL * image.width)
    return image


_PIXEL = 4  # bytes of the largest that are stored without compression


@cache
def _decoders() -> tuple[str, ...]:
    """Return the formats that this Pillow was built with."""
    Image.init()
    return tuple(name for name in PILLOWS if name in Image.OPEN)


def read_by_pillow(path: Path, values: Range | None) -> Document:
    """Read all pictures of a file. Raises what decoders raise."""
    image = open_image(path)
    format = PILLOWS[image.format or ""]
    several = format.pages or format.moves
    count_pages = format.count_pages
    count = count_pages(path, None) if count_pages else getattr(image, "n_frames", 1)
    if count == 1 or not several:
        return Document(_frames(image, values, several=several), size=image.size)
    if format.pages:
        return Document(_frames(image, values, several=True), count)
    loop = {"loop": image.info["loop"]} if "loop" in image.info else {}
    durations = []
    for frame in ImageSequence.Iterator(image):
        if format.times_when_decoded:
            frame.load()
        durations.append(int(frame.info.get("duration", 0) or 0))  # milliseconds
    image.seek(0)
    moving = {"duration": durations, **loop}
    # As many as there are, which need not be what the header claims.
    return Document(_frames(image, values, several=True), len(durations), moving)


def size_by_pillow(path: Path) -> Size:
    """Return width and height of the upright picture, from the file's header alone."""
    with open_image(path) as image:
        return image.size[::-1] if lies_sideways(image) else image.size


def lies_sideways(image: Image.Image) -> bool:
    """Return whether EXIF swaps width and height; Pillow gives a TIFF's size upright already."""
    return image.format != "TIFF" and orientation_of(image) in SIDEWAYS


def has_deep_mode(path: Path) -> bool:
    """Return whether 8-bit grayscale or colour would lose what a file holds; False if damaged."""
    try:
        with open_image(path) as image:
            return image.mode == "F" or image.mode.startswith("I")
    except Exception:  # whoever reads it says what is wrong
        return False


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in any error that a decoder raises."""
    try:
        yield
    except UnreadableImageError:  # names it already
        raise
    except UserError as error:
        raise UnreadableImageError(f"{path}: {error}") from None
    except Exception as error:  # decoders raise nearly every kind
        raise UnreadableImageError(f"{path}: {reason(path, error)}") from error


def reason(path: Path, error: Exception) -> str:
    """Return what is wrong with a file that a decoder would not take."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError | IsADirectoryError):
        return error.strerror or "cannot be opened"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels (a decompression bomb?): scale it down first"
    if path.is_file() and path.stat().st_size == 0:
        return "empty file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a supported format"
    return f"damaged image ({str(error).splitlines()[0] if str(error) else type(error).__name__})"


def _frames(image: Image.Image, values: Range | None, *, several: bool) -> Iterator[Picture]:
    with image:
        for frame in ImageSequence.Iterator(image) if several else [image]:
            frame.load()
            yield _of_pillow(frame, values)


def _of_pillow(image: Image.Image, values: Range | None) -> Picture:
    tags = Tags.of(image)
    upright = image
    with suppress(Exception):  # as with Tags: damaged EXIF
        if orientation_of(image) != 1:  # else it would be copied
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
    """Return the colours as L or RGB, and their opacity if the file has it."""
    if image.has_transparency_data:
        with_alpha = image.convert("LA" if image.mode in ("L", "LA", "La", "1") else "RGBA")
        plain = "L" if with_alpha.mode == "LA" else "RGB"
        return with_alpha.convert(plain), np.asarray(with_alpha.getchannel("A"))
    if image.mode in ("L", "RGB"):
        return image, None
    if image.mode in ("CMYK", "LAB"):
        return on_screen(image, image.info.get("icc_profile")).convert("RGB"), None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _quiet_decoders() -> None:
    """Keep the libraries that read images from writing to the terminal.

    What is wrong with a file is said in a line of ours; what the libraries log can still be had by
    a handler of one's own. This is for the whole process: a stream can't be turned off for one
    thread.
    """
    for name in ("PIL", "tifffile", "pydicom"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        warnings.filterwarnings("ignore", module=rf"{name}\b")
    warnings.filterwarnings("ignore", module=r"cyclegan\.images")  # that they lay at our door
    # Large pictures are what people convert; only what Pillow calls an attack stays an error.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
    except (AttributeError, OSError):  # a Pillow without libtiff, or one that has it built in
        return


_quiet_decoders()
# An EPS, whatever it is called, would start Ghostscript.
EpsImagePlugin.gs_binary = False
# Text is not kept, but the picture beside it is; so much is unpacked at most, as for all of it.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
