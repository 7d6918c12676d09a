"""Checks of a picture's header, before anything is decoded."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image, ImageSequence, PngImagePlugin, UnidentifiedImageError

from cyclegan.errors import UserError
from cyclegan.images.formats import PILLOWS, UPLOADED, ImageFormat

#: Kinds of pictures that an upload may be, as people call them.
KINDS = tuple(dict.fromkeys(format.name for format in UPLOADED.values()))
#: Decoders that it may reach; Pillow knows some that start other programs.
_DECODERS = tuple(dict.fromkeys(format.pillows for format in UPLOADED.values()))
_Size = tuple[int, int]  # width, height
_SMALLEST = 64 * 64  # pixels that any frame counts as: a million tiny ones are work too


#: One text of a PNG may have as many bytes as all of them together; by default 64 times fewer.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY


class NoPictureError(UserError):
    """An upload that is no picture of a known kind."""


class TooLargeError(UserError):
    """A picture with more pixels than allowed."""


def count_pixels(path: Path, most: int, shorter: int | None) -> int:
    """Return the pixels to compute for a file once each shorter side is scaled, from its header.

    Reads no further than `most` pixels. Raises NoPictureError, TooLargeError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_DECODERS) as image:
                _check_pages(image, path, most // _SMALLEST)
                return _count(_frames(image), most, shorter)
    except Image.DecompressionBombError:
        raise TooLargeError("it has far too many pixels: make it smaller") from None
    except MemoryError:
        raise TooLargeError("it takes too much memory to decode: make it smaller") from None
    except UnidentifiedImageError:
        raise NoPictureError(f"not an image in a supported format ({', '.join(KINDS)})") from None
    except UserError:
        raise
    except Exception:  # decoders raise nearly every kind
        raise NoPictureError("a damaged picture, or one far too large") from None


def _check_pages(image: Image.Image, path: Path, most: int) -> None:
    """Raise TooLargeError for more than `most` pages, before reading the pixels of each."""
    count_pages = _format(image).count_pages
    if count_pages and count_pages(path, most) > most:
        raise TooLargeError(f"it has more than {most} pages: split it into several files")


def _frames(image: Image.Image) -> Iterator[tuple[_Size, int]]:
    """Yield the sizes of frames or pages, each with a count.

    Frames that share the size of a canvas are counted by the header, without visiting them.
    """
    format = _format(image)
    if not (format.pages or format.moves):
        yield image.size, 1
    elif format.canvas:
        yield image.size, int(getattr(image, "n_frames", 1))
    else:  # their sizes differ
        for frame in ImageSequence.Iterator(image):
            yield frame.size, 1


def _format(image: Image.Image) -> ImageFormat:
    return PILLOWS[image.format or ""]


def _count(frames: Iterable[tuple[_Size, int]], most: int, shorter: int | None) -> int:
    before = after = 0.0
    for number, (size, count) in enumerate(frames):
        scale = 1.0 if shorter is None else shorter / min(size)
        before += count * max(size[0] * size[1], _SMALLEST)
        after += count * max(size[0] * size[1] * scale**2, _SMALLEST)
        if max(before, after) > most:
            what = "scaled up it has" if after > before else "it has"
            than = "more than " if number else ""  # there may be others behind it
            raise TooLargeError(
                f"{what} {than}{_mega(most if number else max(before, after))} megapixels, "
                f"{_mega(most)} are allowed here: make it smaller"
            )
    return round(after)


def _mega(pixels: float) -> str:
    return f"{pixels / 1e6:.1f}".removesuffix(".0")
