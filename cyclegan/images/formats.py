"""The one table of image formats: an entry is all that is known of a format.

Looking up endings or media types loads no decoder: codecs are loaded when they are used.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cyclegan.parts import Parts

if TYPE_CHECKING:
    from cyclegan.images.codec import Codec


@dataclass(frozen=True)
class ImageFormat:
    """A kind of image file that can be read, and perhaps written."""

    name: str
    """Pillow's in capitals, if Pillow reads it"""
    endings: tuple[str, ...]
    """the first is the one that is written"""
    begins: bytes | None = None
    """pattern of a file's first bytes; None if only the extension tells"""
    instead: str | None = None
    """extension that conversions are written with; None for the format itself"""
    codec: Callable[[], "Codec | None"] = lambda: None
    """how it is read and written; none where Pillow reads it"""
    media: str | None = None
    """media type, of a format that is uploaded and sent back"""
    rare: tuple[str, ...] = ()
    """extensions read, but not accepted as uploads"""
    depths: tuple[str, ...] = ("uint8",)
    """dtypes that are written, the deepest last; none for any"""
    pages: bool = False
    """whether several pictures in a file are pages; else only the first one counts"""
    moves: bool = False
    """whether they are the frames of an animation"""
    canvas: bool = False
    """whether the header says the size and number of all frames"""
    times_when_decoded: bool = False
    """whether how long a frame is shown is known no earlier"""
    count_pages: Callable[[Path, int | None], int] | None = None
    """counts pages where the decoder takes long for it, up to one more than so many"""
    longest: int | None = None
    """maximum side in pixels; None: unlimited"""

    @property
    def pillows(self) -> str:
        """Pillow's name of the format."""
        return self.name.upper()


def _png() -> "Codec":
    from cyclegan.images.png import PNG

    return PNG


def _jpeg() -> "Codec":
    from cyclegan.images.codec import JPEG

    return JPEG


def _webp() -> "Codec":
    from cyclegan.images.codec import WEBP

    return WEBP


def _gif() -> "Codec":
    from cyclegan.images.codec import GIF

    return GIF


def _tiff() -> "Codec":
    from cyclegan.images.tiff import TIFF

    return TIFF


def _npy() -> "Codec":
    from cyclegan.images.arrays import NPY

    return NPY


def _dicom() -> "Codec":
    from cyclegan.images.dicom import DICOM

    return DICOM


def count_pages(path: Path, most: int | None = None) -> int:
    """Count the pages of a TIFF, without repetition; at most `most` and one more.

    Decoders load all of each page's tags to count them, which takes a hundred times as long. Raises
    OSError and struct.error if the file is cut short.
    """
    with path.open("rb") as file:
        order = "<" if file.read(2) == b"II" else ">"
        big = _number(file, f"{order}H") == _BIG
        file.seek(8 if big else 4)
        count, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
        seen: set[int] = set()
        page = _number(file, order + offset)
        while page and page not in seen and (most is None or len(seen) <= most):
            seen.add(page)
            file.seek(page)
            file.seek(entry * _number(file, order + count), 1)
            page = _number(file, order + offset)
    return len(seen)


def _number(file: BinaryIO, kind: str) -> int:
    found: int = struct.unpack(kind, file.read(struct.calcsize(kind)))[0]
    return found


_BIG = 43  # version of files with offsets of 8 bytes
_PNG, _TIF, _JPG = ".png", ".tif", ".jpg"
FORMATS = (
    ImageFormat(
        "PNG", (_PNG,), rb"\x89PNG\r\n\x1a\n", codec=_png, media="image/png", rare=(".apng",),
        depths=("uint8", "uint16"), moves=True, canvas=True,
    ),
    ImageFormat(
        "JPEG", (_JPG, ".jpeg"), rb"\xff\xd8\xff", codec=_jpeg, media="image/jpeg",
        rare=(".jpe", ".jfif"), longest=65500,
    ),
    ImageFormat("MPO", (".mpo",), None, _JPG),  # its other pictures are views of the first
    ImageFormat(
        "WebP", (".webp",), rb"RIFF.{4}WEBP", codec=_webp, media="image/webp",
        moves=True, canvas=True, times_when_decoded=True, longest=16383,
    ),
    ImageFormat(
        "GIF", (".gif",), rb"GIF8[79]a", codec=_gif, media="image/gif", moves=True, longest=65535
    ),
    ImageFormat("BMP", (".bmp",), rb"BM.{4}\0{4}", _PNG, media="image/bmp"),
    ImageFormat("DIB", (".dib",), None, _PNG),
    ImageFormat(
        "TIFF", (_TIF, ".tiff"), rb"II[*+]\0|MM\0[*+]", codec=_tiff, media="image/tiff",
        depths=(), pages=True, count_pages=count_pages,
    ),
    ImageFormat("NPY", (".npy",), rb"\x93NUMPY", codec=_npy, depths=()),
    ImageFormat("DICOM", (".dcm", ".dicom", ".dic", ".ima"), rb".{128}DICM", _TIF, codec=_dicom),
    ImageFormat("AVIF", (".avif", ".avifs"), rb".{4}ftypavi[fs]", _PNG, moves=True),
    ImageFormat("JPEG2000", (".jp2", ".jpx", ".jpf"), rb"\0\0\0\x0cjP  ", _PNG),
    ImageFormat("JPEG2000", (".j2k", ".j2c", ".jpc"), rb"\xff\x4f\xff\x51", _PNG),
    ImageFormat("PPM", (".ppm", ".pgm", ".pbm", ".pnm"), rb"P[1-6]\s+[#\d]", _PNG),
    ImageFormat("PPM", (".pfm",), rb"P[fF]\n", _TIF),
    ImageFormat("QOI", (".qoi",), rb"qoif", _PNG),
    ImageFormat("PSD", (".psd",), rb"8BPS\0\x01", _PNG),
    ImageFormat("ICO", (".ico",), rb"\0\0\x01\0", _PNG),
    ImageFormat("CUR", (".cur",), None, _PNG),
    ImageFormat("ICNS", (".icns",), rb"icns", _PNG),
    ImageFormat("DDS", (".dds",), rb"DDS ", _PNG),
    ImageFormat("PCX", (".pcx",), rb"\n[\0\x02\x03\x05]\x01", _PNG),
    ImageFormat("DCX", (".dcx",), None, _TIF, pages=True),
    ImageFormat("SGI", (".sgi", ".bw", ".rgb", ".rgba"), rb"\x01\xda[\0\x01]", _PNG),
    ImageFormat("SUN", (".ras",), None, _PNG),
    ImageFormat("MSP", (".msp",), rb"DanM|LinS", _PNG),
    ImageFormat("XBM", (".xbm",), rb"#define \S+_width \d", _PNG),
    ImageFormat("XPM", (".xpm",), None, _PNG),
    ImageFormat("BLP", (".blp",), rb"BLP[12]", _PNG),
    ImageFormat("FTEX", (".ftc", ".ftu"), None, _PNG),
    ImageFormat("GBR", (".gbr",), None, _PNG),
    ImageFormat("PIXAR", (".pxr",), None, _PNG),
    ImageFormat("FLI", (".fli", ".flc"), None, _PNG, moves=True),
    ImageFormat("PCD", (".pcd",), None, _PNG),
    ImageFormat("TGA", (".tga", ".icb", ".vda", ".vst"), None, _PNG),
)  # fmt: skip
#: What Pillow may decode: not EPS and PDF, which are programs, and nothing it only knows by name.
PILLOWS = {one.pillows: one for one in reversed(FORMATS) if one.name not in ("NPY", "DICOM")}


#: Formats that installed packages add, by their ending without the dot.
ADDED = Parts("formats", ImageFormat, {})


def by_ending(path: Path) -> ImageFormat | None:
    """Return the format of a file by its ending. Raises UserError for a broken one of a package."""
    ending = path.suffix.lower()
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    return ADDED[ending[1:]] if ending[1:] in ADDED else None  # noqa: SIM401 - get imports nothing


def is_image(ending: str) -> bool:
    """Return whether files of an ending, in small letters, are taken for images."""
    return ending in EXTENSIONS or ending[1:] in ADDED


def is_written(ending: str) -> bool:
    """Return whether conversions can be written with an ending, in small letters."""
    return ending in WRITABLE or (ending[1:] in ADDED and ADDED[ending[1:]].instead is None)


def by_content(path: Path) -> ImageFormat | None:
    """Return the format of a file by its first bytes. Raises OSError if it can't be read."""
    with path.open("rb") as file:
        beginning = file.read(_LONGEST_BEGINNING)
    for pattern, format in _beginnings():
        if pattern.match(beginning):
            return format
    return None


def format_of(path: Path) -> ImageFormat | None:
    """Return the format of a file, whatever it is called. Raises OSError if it can't be read."""
    return by_content(path) or by_ending(path)


def found_out(path: Path) -> ImageFormat | None:
    """Return the format, by its content, of a file whose ending is that of no image.

    A slide's .svs and a camera's .dng begin as TIFF, but hold other things than the picture.
    """
    if path.name.lower().endswith(_NOT_WHOLE) or path.name.upper() == "DICOMDIR":
        return None
    try:
        format = by_content(path) if path.is_file() else None
    except OSError:  # nobody calls it an image
        return None
    return None if format and format.name == "TIFF" and names_a_kind(path.suffix) else format


def names_a_kind(ending: str) -> bool:
    """Return whether an ending says what a file is; `.1` of a DICOM's number does not."""
    return ending[1:].isalnum() and not ending[1:].isdigit()


def ending_to_write(path: Path) -> str:
    """Return the ending of what is written of a file: its own if that format can be written."""
    own = by_ending(path)
    format = own or by_content(path)
    if format is None:
        return _PNG
    return format.instead or (path.suffix if own else format.endings[0])


def spelt_as(path: Path, format: str) -> str:
    """Return the ending of `format`, one of `NAMES`: that of `path` if it is the same format."""
    asked = _BY_ENDING[f".{format}"]
    return path.suffix if path.suffix.lower() in asked.endings else f".{format}"


@cache
def _beginnings() -> list[tuple[re.Pattern[bytes], ImageFormat]]:
    return [(re.compile(one.begins, re.DOTALL), one) for one in FORMATS if one.begins]


#: Endings of downloads that have not ended, and of what programs keep before they change a file.
_NOT_WHOLE = ("~", ".part", ".partial", ".crdownload", ".download", ".tmp", ".bak", "_original")
_LONGEST_BEGINNING = 132  # bytes
_BY_ENDING = {ending: one for one in FORMATS for ending in (*one.endings, *one.rare)}
#: Endings of files that are taken for images.
EXTENSIONS = frozenset(_BY_ENDING)
#: Formats that conversions can be written in, the endings of such files, and what `--format` takes.
WRITTEN = tuple(one for one in FORMATS if one.instead is None)
WRITABLE = frozenset(ending for one in WRITTEN for ending in (*one.endings, *one.rare))
NAMES = tuple(one.endings[0][1:] for one in WRITTEN)
#: By their endings the formats of files that are uploaded and sent back.
UPLOADED = {ending: one for one in FORMATS if one.media for ending in one.endings}
