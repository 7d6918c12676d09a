"""The one table of image formats: their endings, how such files begin, what is written of them."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImageFormat:
    """A kind of image file that can be read."""

    name: str
    endings: tuple[str, ...]
    begins: bytes | None = None
    """a pattern of a file's first bytes; None where only the ending tells"""
    instead: str | None = None
    """the ending that conversions are written with; None for the format itself"""
    longest: int | None = None
    """pixels a side that it holds; None for any number"""


_SOI = rb"\xff\xd8\xff"
FORMATS = (
    ImageFormat("PNG", (".png", ".apng"), rb"\x89PNG\r\n\x1a\n"),
    ImageFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), _SOI, longest=65500),
    ImageFormat("WEBP", (".webp",), rb"RIFF.{4}WEBP", longest=16383),
    ImageFormat("GIF", (".gif",), rb"GIF8[79]a", longest=65535),
    ImageFormat("BMP", (".bmp",), rb"BM.{4}\0{4}", ".png"),
    ImageFormat("TIFF", (".tif", ".tiff"), rb"II[*+]\0|MM\0[*+]"),
    ImageFormat("NPY", (".npy",), rb"\x93NUMPY"),
    ImageFormat("DICOM", (".dcm", ".dicom", ".dic", ".ima"), rb".{128}DICM", ".tif"),
)


def by_ending(path: Path) -> ImageFormat | None:
    """The format that a file is called as."""
    return _BY_ENDING.get(path.suffix.lower())


def by_content(path: Path) -> ImageFormat | None:
    """The format that a file begins as. Raises OSError where it can't be read."""
    with path.open("rb") as file:
        beginning = file.read(_LONGEST_BEGINNING)
    for pattern, format in _BEGINNINGS:
        if pattern.match(beginning):
            return format
    return None


def format_of(path: Path) -> ImageFormat | None:
    """The format of a file, whatever it is called. Raises OSError where it can't be read."""
    return by_content(path) or by_ending(path)


def is_image(path: Path) -> bool:
    """Whether a file is taken for an image: by its ending, or by its content where it has none."""
    if by_ending(path) is not None:
        return True
    try:
        return not names_a_kind(path.suffix) and path.is_file() and by_content(path) is not None
    except OSError:  # nobody calls it an image
        return False


def names_a_kind(ending: str) -> bool:
    """Whether an ending says what a file is; `.1` at the end of a DICOM's number does not."""
    return ending[1:].isalnum() and not ending[1:].isdigit()


_LONGEST_BEGINNING = 132  # bytes
_BY_ENDING = {ending: format for format in FORMATS for ending in format.endings}
_BEGINNINGS = [(re.compile(one.begins, re.DOTALL), one) for one in FORMATS if one.begins]
#: Endings of files that are taken for images.
EXTENSIONS = frozenset(_BY_ENDING)


def ending_to_write(path: Path) -> str:
    """The ending of what is written of a file: its own where that format can be written."""
    own = by_ending(path)
    format = own or by_content(path)
    if format is None:
        return ".png"
    return format.instead or (path.suffix if own else format.endings[0])
