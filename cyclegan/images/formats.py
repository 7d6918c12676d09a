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


_PNG, _TIF, _JPG = ".png", ".tif", ".jpg"
FORMATS = (
    ImageFormat("PNG", (_PNG, ".apng"), rb"\x89PNG\r\n\x1a\n"),
    ImageFormat("JPEG", (_JPG, ".jpeg", ".jpe", ".jfif"), rb"\xff\xd8\xff", longest=65500),
    ImageFormat("MPO", (".mpo",), None, _JPG),
    ImageFormat("WEBP", (".webp",), rb"RIFF.{4}WEBP", longest=16383),
    ImageFormat("GIF", (".gif",), rb"GIF8[79]a", longest=65535),
    ImageFormat("BMP", (".bmp",), rb"BM.{4}\0{4}", _PNG),
    ImageFormat("DIB", (".dib",), None, _PNG),
    ImageFormat("TIFF", (_TIF, ".tiff"), rb"II[*+]\0|MM\0[*+]"),
    ImageFormat("NPY", (".npy",), rb"\x93NUMPY"),
    ImageFormat("DICOM", (".dcm", ".dicom", ".dic", ".ima"), rb".{128}DICM", _TIF),
    ImageFormat("AVIF", (".avif", ".avifs"), rb".{4}ftypavi[fs]", _PNG),
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
    ImageFormat("DCX", (".dcx",), None, _TIF),
    ImageFormat("SGI", (".sgi", ".bw", ".rgb", ".rgba"), rb"\x01\xda[\0\x01]", _PNG),
    ImageFormat("SUN", (".ras",), None, _PNG),
    ImageFormat("MSP", (".msp",), rb"DanM|LinS", _PNG),
    ImageFormat("XBM", (".xbm",), rb"#define \S+_width \d", _PNG),
    ImageFormat("XPM", (".xpm",), None, _PNG),
    ImageFormat("BLP", (".blp",), rb"BLP[12]", _PNG),
    ImageFormat("FTEX", (".ftc", ".ftu"), None, _PNG),
    ImageFormat("GBR", (".gbr",), None, _PNG),
    ImageFormat("PIXAR", (".pxr",), None, _PNG),
    ImageFormat("FLI", (".fli", ".flc"), None, _PNG),
    ImageFormat("PCD", (".pcd",), None, _PNG),
    ImageFormat("TGA", (".tga", ".icb", ".vda", ".vst"), None, _PNG),
)
#: What Pillow may decode: not EPS and PDF, which are programs, and nothing it only knows by name.
PILLOWS = tuple(dict.fromkeys(one.name for one in FORMATS if one.name not in ("NPY", "DICOM")))


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


def found_out(path: Path) -> ImageFormat | None:
    """The format of a file whose ending is that of no image, by its content.

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
    """Whether an ending says what a file is; `.1` at the end of a DICOM's number does not."""
    return ending[1:].isalnum() and not ending[1:].isdigit()


#: Endings of downloads that have not ended, and of what programs keep before they change a file.
_NOT_WHOLE = ("~", ".part", ".partial", ".crdownload", ".download", ".tmp", ".bak", "_original")
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
