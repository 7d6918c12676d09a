"""The TIFF format beyond Pillow: values of any depth and sign, and any number of channels."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cyclegan.errors import UserError
from cyclegan.images import Encoding
from cyclegan.images.arrays import Meaning, full_scale, of_array, turned
from cyclegan.images.codec import Codec, as_pillow
from cyclegan.images.picture import Array, Document, Picture, Range, Size
from cyclegan.images.tags import ONLY_TIFF, SIDEWAYS, WORDS, Tags, TiffTag


def _read(path: Path, values: Range | None) -> Document | None:
    if _storage(path).pillows:
        return None
    import tifffile

    with tifffile.TiffFile(path) as file:
        count = len(file.pages)
    return Document(_read_pages(path, values, count), count)


def _size(path: Path) -> Size | None:
    if _storage(path).pillows:
        return None
    import tifffile

    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        size = int(page.imagewidth), int(page.imagelength)
        return size[::-1] if page.tags.valueof(_ORIENTATION, 1) in SIDEWAYS else size


@dataclass(frozen=True)
class _Storage:
    """The way in which a TIFF holds its pixels."""

    deep: bool
    """whether 8-bit gray or colour would lose any of it"""
    pillows: bool
    """whether Pillow reads it rightly"""


def _storage(path: Path) -> _Storage:
    """Read the storage from the header; what tifffile can't read is left to Pillow's messages."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            pages: list[Any] = list(file.pages)
            deep = _is_deep(pages[0])
            pillows = all(not _is_deep(page) or _is_deep_gray(page) for page in pages)
            pillows &= all(int(page.compression) != _WEBP for page in pages)
    except Exception:  # both raise nearly every kind
        return _Storage(deep=False, pillows=True)
    return _Storage(deep, pillows and _opens(path))


def _read_pages(path: Path, values: Range | None, count: int) -> Iterator[Picture]:
    """Yield the first `count` pages. Raises UserError if one can't be read as gray or colour."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        for number in range(count):
            page: Any = file.pages[number]
            needed, there = page.nbytes, path.stat().st_size
            if needed > 2000 * there:
                raise OSError(f"says it holds {needed} bytes of pixels, has {there} bytes")
            yield _picture(page, values)


def _is_deep(page: Any) -> bool:
    shallow = page.dtype is not None and page.dtype.str[1:] in ("u1", "b1")
    return not shallow or page.samplesperpixel > 4 or _no_data(page) is not None


def _is_deep_gray(page: Any) -> bool:
    """Return whether a page has one of the two deep types that Pillow has modes for."""
    black_is_low = page.photometric == _BLACK_IS_LOW and page.samplesperpixel == 1
    types = {("u2", 16), ("f4", 32)}
    kept_whole = page.dtype is not None and (page.dtype.str[1:], page.bitspersample) in types
    return black_is_low and kept_whole and _no_data(page) is None


def _opens(path: Path) -> bool:
    try:
        with Image.open(path, formats=("TIFF",)):
            return True
    except Exception:
        return False


def _picture(page: Any, values: Range | None) -> Picture:
    if not page.imagewidth or not page.imagelength:
        raise OSError(f"it is {page.imagewidth}x{page.imagelength} pixels")
    if page.dtype is None:
        raise UserError(f"values of {page.bitspersample} bits (sample format {page.sampleformat})")
    pixels = _channels_last(page)
    has_alpha = any(int(kind) in (1, 2) for kind in page.extrasamples)  # 0 says nothing
    hollow = _hollow(page, pixels[:, :, :-1] if has_alpha else pixels)
    if values is None:
        pixels = full_scale(pixels, _bits(page))
    pixels = _COLOURS.get(int(page.photometric), _refuse)(page, pixels)
    if hollow is not None:  # scaled or looked up, they would be values
        pixels = pixels.copy()
        pixels[hollow] = _no_data(page)
    if any(int(kind) == _PREMULTIPLIED for kind in page.extrasamples):
        pixels = _without_alpha_in_it(pixels)
    orientation, tags = page.tags.valueof(_ORIENTATION, 1), _tags(page)
    if orientation != 1:
        tags = tags.of_other_size()
    upright = turned(pixels, orientation)
    hollow = None if hollow is None else turned(hollow, orientation)
    white_is_low = page.photometric == _WHITE_IS_LOW
    return of_array(upright, values, tags, Meaning(has_alpha, white_is_low, hollow))


def _hollow(page: Any, pixels: Array) -> Array | None:
    """Return (H, W) of bool: pixels (H, W, C), as they are in the file, that hold no data."""
    value = _no_data(page)
    hollow: Array | None = None if value is None else (pixels == value).all(axis=2)
    return hollow if hollow is not None and hollow.any() else None


def _bits(page: Any) -> int:
    bits = page.bitspersample
    return int(bits if isinstance(bits, int) else max(bits))


def _no_data(page: Any) -> float | None:
    """Return the value of pixels that hold no data, as GDAL writes it."""
    text = str(page.tags.valueof(_GDAL_NO_DATA, "")).strip("\0 ")
    try:
        return float(text)
    except ValueError:
        return None


def _channels_last(page: Any) -> Array:
    found: Array = page.asarray()
    if page.axes.startswith("S"):  # plane by plane
        found = np.moveaxis(found, 0, -1)
    found = found.astype(np.uint8) if found.dtype == np.bool else found
    return found[:, :, None] if found.ndim == 2 else found


def _without_alpha_in_it(pixels: Array) -> Array:
    """Undo the multiplication of colours by their opacity."""
    colours, alpha = pixels[:, :, :-1].astype(np.float64), pixels[:, :, -1:]
    whole = pixels.dtype.kind != "f"
    top = np.iinfo(pixels.dtype).max if whole else 1.0
    before = (colours * top / np.where(alpha == 0, top, alpha)).clip(0, top)
    plain = (before.round() if whole else before).astype(pixels.dtype)
    return np.concatenate([plain, alpha], axis=2)


def _as_it_is(page: Any, pixels: Array) -> Array:
    return pixels


def _looked_up(page: Any, pixels: Array) -> Array:
    """Return the colours of indices into a palette (3, N) of 16 bits each."""
    colours: Array = np.moveaxis(page.colormap[:, pixels[:, :, 0]], 0, -1)
    return colours


def _decoded_luminance(page: Any, pixels: Array) -> Array:
    """Return luminance and chroma, which JPEG's decoder has made red, green and blue."""
    return pixels if int(page.compression) in _JPEG else _refuse(page, pixels)


def _inks(page: Any, pixels: Array) -> Array:
    """Convert cyan, magenta, yellow and black to RGB, as Pillow does without a profile."""
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind != "f" else 1.0
    light = 1 - pixels[:, :, :4] / top
    found = light[:, :, :3] * light[:, :, 3:] * top
    return (found.round() if pixels.dtype.kind != "f" else found).astype(pixels.dtype)


def _refuse(page: Any, pixels: Array) -> Array:
    name = getattr(page.photometric, "name", page.photometric)
    raise UserError(f"its pixels are {name}: save it as gray or RGB")


_WHITE_IS_LOW, _BLACK_IS_LOW, _RGB, _PALETTE, _MASK, _CMYK, _LUMINANCE = range(7)
#: By what a TIFF's numbers stand for.
_COLOURS = {
    _WHITE_IS_LOW: _as_it_is,
    _BLACK_IS_LOW: _as_it_is,
    _RGB: _as_it_is,
    _PALETTE: _looked_up,
    _MASK: _as_it_is,
    _CMYK: _inks,
    _LUMINANCE: _decoded_luminance,
}
_PREMULTIPLIED = 1
_JPEG = (6, 7)  # compressions
_WEBP = 50001  # a compression that Pillow's libtiff lacks
_ORIENTATION = 274
_GDAL_NO_DATA = 42113


def _tags(page: Any) -> Tags:
    """Return the tags, as `Tags.of` does, of a page that Pillow may not know."""
    exif = Image.Exif()
    for code in WORDS & set(page.tags.keys()):
        exif[code] = str(page.tags.valueof(code))
    found = {
        code: TiffTag(int(page.tags[code].dtype), page.tags[code].count, page.tags.valueof(code))
        for code in ONLY_TIFF & set(page.tags.keys())
    }
    return Tags(exif or None, page.tags.valueof(_PROFILE), _dpi(found), tiff=found)


def _dpi(tags: Mapping[int, TiffTag]) -> tuple[float, float] | None:
    """Return the dots per inch; None if they only tell the shape of pixels."""
    inches = {2: 1.0, 3: 2.54}.get(int(tags[_UNIT].value) if _UNIT in tags else 2)
    if inches is None or not all(code in tags and all(tags[code].value) for code in _DOTS):
        return None
    across, down = (tags[code].value[0] / tags[code].value[1] * inches for code in _DOTS)
    return across, down


_PROFILE, _UNIT, _DOTS = 34675, 296, (282, 283)


def _write(file: Path, pictures: Iterable[Picture], like: Document, how: Encoding) -> None:
    coming = iter(pictures)
    first = next(coming)
    shallow = first.pixels.dtype == np.uint8 or first.pixels.shape[2] == 1
    plain = shallow and first.pixels.shape[2] in (1, 3) and not first.tags.tiff
    if like.count == 1 and plain:  # with all of its EXIF
        image = as_pillow(first)
        tags = first.tags.fitting("L" if first.pixels.shape[2] == 1 else "RGB").saved()
        if image.mode in _PILLOW_WRITES:
            image.save(file, "TIFF", compression="tiff_deflate", **tags)
            return
    import tifffile

    large = first.pixels.nbytes * like.count > _CLASSIC_TIFF
    with tifffile.TiffWriter(file, bigtiff=large) as writer:
        for picture in chain([first], coming):
            _write_page(writer, picture)


def _write_page(writer: Any, picture: Picture) -> None:
    pixels, more = picture.pixels, _words(picture.tags)
    colours = "rgb" if pixels.shape[2] == 3 else "minisblack"
    tags = picture.tags.fitting("RGB" if colours == "rgb" else "L")
    if picture.alpha is not None:
        pixels = np.concatenate([pixels, picture.alpha[:, :, None]], axis=2)
        more["extrasamples"] = ["unassalpha"]
    if pixels.shape[2] > 1:
        more["planarconfig"] = "contig"
    writer.write(
        pixels[:, :, 0] if pixels.shape[2] == 1 else pixels,
        photometric=colours,
        compression="zlib",
        iccprofile=tags.profile,
        metadata=None,
        **more,
    )


def _dots(tag: Any) -> Any:
    """Return a resolution as a fraction or a number: some programs write SHORT or FLOAT.

    None for what says none, as 0/0 does.
    """
    parts = tag.value if isinstance(tag.value, tuple) else (tag.value,)
    try:
        found = Fraction(*parts)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return (parts if len(parts) == 2 else parts[0]) if 0 < found < _MOST_DOTS else None


_MOST_DOTS = 2**31  # what a tag can hold, as a fraction of 32 bits each


def _extra(code: int, tag: Any) -> tuple[int, Any, int, Any, bool]:
    """Return a tag as tifffile writes it: texts as bytes, which may be more than ASCII."""
    if tag.type != _ASCII:
        return code, tag.type, tag.count, tag.value, True
    text = str(tag.value).encode() + b"\0"
    return code, "s", len(text), text, True


_ASCII = 2  # a tag's type


def _words(tags: Tags) -> dict[str, Any]:
    exif: Mapping[int, Any] = tags.exif or {}
    own = dict(tags.tiff)
    dots = [_dots(own.pop(code)) for code in (282, 283) if code in own]
    unit = own.pop(296, None)
    words = {tag: str(exif[tag]).encode() for tag in (271, 272, 306, 315, 33432) if tag in exif}
    found = {
        "description": str(exif[270]).encode() if 270 in exif else None,
        "software": str(exif[305]).encode() if 305 in exif else False,
        "extratags": [
            *((tag, "s", len(text) + 1, text + b"\0", True) for tag, text in words.items()),
            *(_extra(code, tag) for code, tag in own.items()),
        ],
    }
    if len(dots) == 2 and all(dots) and unit and isinstance(unit.value, int):
        return found | {"resolution": dots, "resolutionunit": unit.value}
    return found | ({"resolution": tags.dpi, "resolutionunit": 2} if tags.dpi else {})


_PILLOW_WRITES = frozenset({"L", "RGB", "LA", "RGBA", "I;16", "F"})
_CLASSIC_TIFF = 2**31  # bytes; a larger file needs longer addresses

TIFF = Codec(_read, _write, lambda path: _storage(path).deep, _size)
