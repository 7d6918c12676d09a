"""What a file says about its pixels, to be said of what is made of them."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

_ORIENTATION = ExifTags.Base.Orientation


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

    @classmethod
    def of(cls, image: Image.Image) -> "Tags":
        """Those of an opened file; what is damaged counts as missing."""
        return cls(_exif(image), image.info.get("icc_profile"), _dpi(image), _jpeg(image))

    def fitting(self, mode: str) -> "Tags":
        """Without a profile that describes other colours than those of `mode`, L or RGB."""
        if self.profile is None or _colours(self.profile) == _PROFILED[mode]:
            return self
        return Tags(self.exif, None, self.dpi, self.jpeg)

    def saved(self) -> dict[str, Any]:
        """As Pillow takes them for a file of any format."""
        given = {
            "exif": self.exif.tobytes() if self.exif else None,
            "icc_profile": self.profile,
            "dpi": self.dpi,
        }
        return {name: value for name, value in given.items() if value}


def _exif(image: Image.Image) -> Image.Exif | None:
    try:
        exif = Image.Exif()  # of its own: the image's is still needed
        exif.load(image.getexif().tobytes())
        exif.pop(_ORIENTATION, None)
    except Exception:  # a damaged EXIF block is no reason to refuse a whole picture
        return None
    if image.format == "TIFF":  # whose own tags, of sizes and places of the pixels, count as EXIF
        kept = Image.Exif()
        kept.update({tag: value for tag, value in exif.items() if tag in _WORDS})
        return kept or None
    return exif or None


#: Tags of a TIFF that say something about the picture and not how it lies in the file.
_WORDS = frozenset(
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
    dpi = image.info.get("dpi")
    return (float(dpi[0]), float(dpi[1])) if dpi and all(dpi) else None


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
