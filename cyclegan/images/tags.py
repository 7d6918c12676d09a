"""Tags of an image file, carried over to what is made of it, and its colour profile."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin, TiffImagePlugin

_ORIENTATION = ExifTags.Base.Orientation
SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height


@dataclass(frozen=True)
class TiffTag:
    """A tag as TIFF stores it."""

    type: int
    count: int
    value: Any


@dataclass(frozen=True)
class Tags:
    """EXIF, colour profile, resolution, and how a JPEG was compressed."""

    exif: Image.Exif | None = None
    """without the orientation, which is applied"""
    profile: bytes | None = None
    """ICC"""
    dpi: tuple[float, float] | None = None
    jpeg: Mapping[str, Any] = field(default_factory=dict)
    """the input's quantisation tables and chroma"""
    tiff: Mapping[int, TiffTag] = field(default_factory=dict)
    """those that only a TIFF has: its place on Earth, its resolution in its own unit, XMP"""

    @classmethod
    def of(cls, image: Image.Image) -> "Tags":
        """Return the tags of an opened file; damaged ones count as missing."""
        profile, dpi = image.info.get("icc_profile"), _dpi(image)
        return cls(_exif(image), profile, dpi, _jpeg(image), _only_tiff(image))

    def fitting(self, mode: str) -> "Tags":
        """Return the tags without a profile of other colours than those of `mode`, L or RGB."""
        if self.profile is None or _colours(self.profile) == _PROFILED[mode]:
            return self
        return replace(self, profile=None)

    def of_other_layout(self) -> "Tags":
        """Return the tags without a description of how the pixels were stored (ImageJ, OME)."""
        if self.exif is None:
            return self
        description = str(self.exif.get(ExifTags.Base.ImageDescription, ""))
        if not any(sign in description for sign in _LAYOUTS):
            return self
        kept = Image.Exif()
        kept.update(self.exif)
        kept.pop(ExifTags.Base.ImageDescription)
        return replace(self, exif=kept)

    def of_other_size(self) -> "Tags":
        """Return the tags without that description, and without where on Earth each pixel lies."""
        tiff = {code: tag for code, tag in self.tiff.items() if code not in _PLACES}
        return replace(self.of_other_layout(), tiff=tiff)

    def saved(self) -> dict[str, Any]:
        """Return the tags as Pillow takes them for a file of any format."""
        given = {
            "exif": self.exif.tobytes() if self.exif else None,
            "icc_profile": self.profile,
            "dpi": self.dpi,
        }
        return {name: value for name, value in given.items() if value}


def orientation_of(image: Image.Image) -> int:
    """Return EXIF's orientation: 1 if the picture is upright."""
    found: int = image.getexif().get(_ORIENTATION, 1)
    return found


def _exif(image: Image.Image) -> Image.Exif | None:
    tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    try:
        if not tiff and not image.getexif():  # of most pictures; telling it apart is quick
            return None
        exif = Image.Exif()  # of its own: the image's is still needed
        exif.load(image.getexif().tobytes())
        exif.pop(_ORIENTATION, None)
    except Exception:  # a damaged EXIF block is no reason to refuse a whole picture
        return None
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # whose tags on the pixels count as EXIF
        kept = Image.Exif()
        kept.update({tag: _text(image.tag_v2[tag]) for tag in WORDS & set(image.tag_v2)})
        return kept or None
    return exif or None


def _only_tiff(image: Image.Image) -> dict[int, TiffTag]:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return {}
    found = {}
    for code in ONLY_TIFF & set(image.tag_v2):
        value, type = image.tag_v2[code], image.tag_v2.tagtype[code]
        if isinstance(value, TiffImagePlugin.IFDRational):
            value = (value.numerator, value.denominator)
        value = _text(value) if type == _ASCII else value
        many = isinstance(value, tuple) and type not in (5, 10)
        found[code] = TiffTag(type, len(value) if many or type in _BYTES else 1, value)
    return found


_LAYOUTS = ("ImageJ=", "<OME", '{"shape"', "SCANIMAGE")
_PLACES = frozenset({33550, 33922, 34264, 34735, 34736, 34737, 50844})
_ASCII = 2
_BYTES = frozenset({1, _ASCII, 7})
#: Tags that go from one TIFF to the next: where it lies (GeoTIFF, GDAL), its size, XMP, IPTC.
ONLY_TIFF = _PLACES | {42112, 42113, 282, 283, 296, 700, 33723}


def _text(value: Any) -> str:
    """Return the text of a tag: Pillow takes what is UTF-8 mostly for Latin-1."""
    try:
        return str(value).encode("latin-1").decode()
    except UnicodeError:
        return str(value)


#: Tags of a TIFF that say something about the picture and not how it lies in the file.
WORDS = frozenset(
    {
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.Copyright,
    }
)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    wide, high = map(float, image.info.get("dpi") or (0, 0))
    return (wide, high) if 0 < wide < _MOST_DPI and 0 < high < _MOST_DPI else None


_MOST_DPI = 5e7  # PNG and BMP hold 31 bits of dots a metre


def _jpeg(image: Image.Image) -> dict[str, Any]:
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in ("L", "RGB"):
        return {}
    chroma = JpegImagePlugin.get_sampling(image)
    return {"qtables": image.quantization, **({} if chroma < 0 else {"subsampling": chroma})}


_PROFILED = {"L": "GRAY", "RGB": "RGB "}


def _colours(profile: bytes) -> str:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except OSError:
        return "damaged"
    return str(opened.profile.xcolor_space)


Levels = npt.NDArray[Any]


@dataclass(frozen=True)
class Native:
    """Pixels in the colours of their file, beside those of a screen that a generator sees."""

    pixels: Levels
    """(H, W, 3) of uint8"""
    back: Callable[[Image.Image], Image.Image]
    """sRGB -> the file's colours"""

    def changed(self, before: Levels, after: Levels) -> Levels:
        """Return what was made of the screen's colours in the file's; unchanged pixels stay.

        Converting all there and back would lose what a screen can't show.
        """
        made = np.asarray(self.back(Image.fromarray(np.ascontiguousarray(after))))
        stays = (before == after).all(axis=2, keepdims=True)
        return np.where(stays, self.pixels, made)


def on_screen(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert colours for print, or of more than a screen has, to sRGB by the file's profile.

    Returns the same image if there is no profile, or a damaged one.
    """
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        made = ImageCms.profileToProfile(image, lab, _SRGB, outputMode="RGB")
        return made or image
    if profile and image.mode not in ("L", "1", "CMYK"):
        image = image.convert("RGB")
    ways = transforms(profile, image.mode)
    return image if ways is None else ways[0](image)


ToScreen = Callable[[Image.Image], Image.Image]


@lru_cache(maxsize=64)  # a folder's files have few
def transforms(profile: bytes | None, mode: str) -> tuple[ToScreen, ToScreen | None] | None:
    """Return the transforms to sRGB and, for RGB, back; None if none is needed or possible."""
    if not profile or mode not in ("RGB", "CMYK"):
        return None
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        there = ImageCms.buildTransform(given, _SRGB, mode, "RGB")
        back = ImageCms.buildTransform(_SRGB, given, "RGB", mode) if mode == "RGB" else None
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode == "RGB" and _changes_little(there):
        return None
    return _applied(there), None if back is None else _applied(back)


def _applied(transform: ImageCms.ImageCmsTransform) -> ToScreen:
    def apply(image: Image.Image) -> Image.Image:
        made = ImageCms.applyTransform(image, transform)
        assert made is not None
        return made

    return apply


def _changes_little(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether the colours are those of sRGB, of which there are many profiles."""
    grid = np.array([*product(range(0, 256, 51), repeat=3)], np.uint8)[None]
    seen = np.asarray(_applied(transform)(Image.fromarray(grid))).astype(int)
    return bool(np.abs(seen - grid).mean() < 1)


_SRGB = ImageCms.createProfile("sRGB")
