"""Pictures become files of every format that can be written."""

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cyclegan.atomic import atomic_write
from cyclegan.errors import UserError
from cyclegan.images.document import Document
from cyclegan.images.eight_bit import check_longest
from cyclegan.images.formats import FORMATS, by_ending
from cyclegan.images.picture import RANGES, Picture, Range
from cyclegan.images.tags import Tags


@dataclass(frozen=True)
class Compression:
    """How JPEG and WebP lose; None is as the input did, or hardly."""

    quality: int | None = None
    """1 to 100"""
    chroma: str | None = None
    """of JPEG: 444, 422 or 420"""

    def of_jpeg(self, like: dict[str, Any]) -> dict[str, Any]:
        """As Pillow takes it."""
        given = {"quality": self.quality} if self.quality else like or {"quality": 95}
        chroma = {"subsampling": f"4:{self.chroma[1]}:{self.chroma[2]}"} if self.chroma else {}
        return {"subsampling": 0, **given, **chroma}


def write_document(
    path: Path, pictures: Iterable[Picture], like: Document, compression: Compression
) -> None:
    """Write the format that the name ends in; the file appears under its name whole or never.

    `like` says how many pictures come, and how they move. Raises UserError where the format can't
    hold them.
    """
    check_holds(path, like)
    with atomic_write(path) as unfinished:
        _encoder(path).encode(unfinished, pictures, like, compression, path)


def check_holds(path: Path, document: Document) -> None:
    """Raise UserError where the format that `path` ends in can't hold so many pictures."""
    format = _encoder(path)
    if document.count == 1 or format.pages or (document.moving and format.moves):
        return
    what, endings = ("pages", "tif") if not document.moving else ("frames", "gif, webp or png")
    raise UserError(
        f"{path}: {path.suffix[1:].upper()} holds one picture, this has {document.count} "
        f"{what}: give --format {endings}"
    )


def depth(path: Path, picture: Picture) -> tuple[np.dtype[np.generic], Range]:
    """The type that a picture's values are written in to `path`, and their range: no fewer bits
    than it has, where the format holds them."""
    types = _encoder(path).types
    if not types or picture.pixels.dtype.name in types:
        return picture.pixels.dtype, picture.range
    deepest = "uint8" if picture.pixels.dtype.itemsize == 1 else types[-1]
    return np.dtype(deepest), RANGES[deepest]


Encode = Callable[[Path, Iterable[Picture], Document, Compression, Path], None]


@dataclass(frozen=True)
class _Encoder:
    encode: Encode
    types: tuple[str, ...] = ("uint8",)
    """of values that it holds, the deepest last; none for any"""
    pages: bool = False
    moves: bool = False


def _one(pictures: Iterable[Picture], path: Path) -> Picture:
    picture = next(iter(pictures))
    check_longest(picture.size, path)
    return picture


def _jpeg(
    file: Path, pictures: Iterable[Picture], like: Document, how: Compression, path: Path
) -> None:
    picture = _one(pictures, path)
    image = _on_white(as_pillow(picture))
    jpeg = how.of_jpeg(_fitting_tables(picture.tags.jpeg, image.mode))
    image.save(file, "JPEG", **jpeg, **picture.tags.fitting(image.mode).saved())


def _fitting_tables(jpeg: Any, mode: str) -> dict[str, Any]:
    """A grayscale JPEG has one table, a coloured one two."""
    tables = jpeg.get("qtables", {})
    return dict(jpeg) if tables and len(tables) == (1 if mode == "L" else 2) else {}


def _webp(
    file: Path, pictures: Iterable[Picture], like: Document, how: Compression, path: Path
) -> None:
    more = {"quality": how.quality or 95, "exact": True}  # colours under full transparency stay
    _by_pillow("WEBP", file, pictures, like, path, more)


def _gif(
    file: Path, pictures: Iterable[Picture], like: Document, how: Compression, path: Path
) -> None:
    _by_pillow("GIF", file, pictures, like, path, {"disposal": 2})


def _png(
    file: Path, pictures: Iterable[Picture], like: Document, how: Compression, path: Path
) -> None:
    if like.moving:
        _by_pillow("PNG", file, pictures, like, path, {})
        return
    picture = _one(pictures, path)
    if picture.pixels.dtype == np.uint16 and (picture.pixels.shape[2] > 1 or _has_alpha(picture)):
        file.write_bytes(_deep_png(picture))
        return
    # Of filtered pixels runs are nearly all that can be packed: the same size in half the time.
    image = as_pillow(picture)
    colours = "L" if image.mode in ("L", "LA", "I;16") else "RGB"
    tags = picture.tags.fitting(colours).saved()
    image.save(file, "PNG", compress_type=zlib.Z_RLE, **tags)


def _by_pillow(
    name: str,
    file: Path,
    pictures: Iterable[Picture],
    like: Document,
    path: Path,
    more: dict[str, Any],
) -> None:
    if not like.moving:
        picture = _one(pictures, path)
        image = as_pillow(picture)
        image.save(file, name, **more, **picture.tags.fitting("RGB").saved())
        return
    frames = list(pictures)
    first, *rest = [as_pillow(picture) for picture in frames]
    check_longest(first.size, path)
    tags = frames[0].tags.fitting("RGB").saved()
    first.save(file, name, save_all=True, append_images=rest, **like.moving, **more, **tags)


def _has_alpha(picture: Picture) -> bool:
    return picture.alpha is not None


def as_pillow(picture: Picture) -> Image.Image:
    """As Pillow holds it: L, RGB, LA, RGBA, I;16 or F."""
    pixels = picture.pixels
    if picture.alpha is not None:
        return Image.fromarray(np.concatenate([pixels, picture.alpha[:, :, None]], axis=2))
    return Image.fromarray(
        np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    )


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert(image.mode[:-1])


def _deep_png(picture: Picture) -> bytes:
    """16 bits a channel, which Pillow can't write in colour; with the tags put in."""
    import cv2

    pixels = np.broadcast_to(picture.pixels, (*picture.pixels.shape[:2], 3))[:, :, ::-1]
    if picture.alpha is not None:
        pixels = np.concatenate([pixels, picture.alpha[:, :, None]], axis=2)
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels))
    assert done
    plain, tags = encoded.tobytes(), picture.tags.fitting("RGB")
    chunks = b""
    if tags.profile:
        chunks += _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(tags.profile))
    if tags.dpi:
        a_metre = [round(dots / 0.0254) for dots in tags.dpi]
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *a_metre, 1))
    if tags.exif:
        chunks += _chunk(b"eXIf", tags.exif.tobytes().removeprefix(b"Exif\0\0"))
    return plain[:_HEADER] + chunks + plain[_HEADER:]


_HEADER = 33  # bytes: the signature and the first chunk, which must stay the first


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def _tiff(
    file: Path, pictures: Iterable[Picture], like: Document, how: Compression, path: Path
) -> None:
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
            _tiff_page(writer, picture)


def _tiff_page(writer: Any, picture: Picture) -> None:
    pixels, more = picture.pixels, _tiff_words(picture.tags)
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


def _dots(value: Any) -> Any:
    """A resolution as a fraction or a number: some programs write SHORT or FLOAT."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _extra(code: int, tag: Any) -> tuple[int, Any, int, Any, bool]:
    """A tag as tifffile writes it: texts as bytes, which may be more than ASCII."""
    if tag.type != _ASCII:
        return code, tag.type, tag.count, tag.value, True
    text = str(tag.value).encode() + b"\0"
    return code, "s", len(text), text, True


_ASCII = 2  # a tag's type


def _tiff_words(tags: Tags) -> dict[str, Any]:
    exif: Mapping[int, Any] = tags.exif or {}
    own = dict(tags.tiff)
    dots = [own.pop(code, None) for code in (282, 283)]
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
    if all(dots) and unit:
        resolution = [_dots(one.value) for one in dots if one]
        return found | {"resolution": resolution, "resolutionunit": int(unit.value)}
    return found | ({"resolution": tags.dpi, "resolutionunit": 2} if tags.dpi else {})


_PILLOW_WRITES = frozenset({"L", "RGB", "LA", "RGBA", "I;16", "F"})
_CLASSIC_TIFF = 2**31  # bytes; a larger file needs longer addresses


def _npy(
    file: Path, pictures: Iterable[Picture], like: Document, how: Compression, path: Path
) -> None:
    pixels = _one(pictures, path).pixels
    with file.open("wb") as open_file:
        np.save(open_file, pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


#: How each format that conversions are written in is encoded, by its name.
_ENCODERS = {
    "PNG": _Encoder(_png, types=("uint8", "uint16"), moves=True),
    "JPEG": _Encoder(_jpeg),
    "WEBP": _Encoder(_webp, moves=True),
    "GIF": _Encoder(_gif, moves=True),
    "TIFF": _Encoder(_tiff, types=(), pages=True),
    "NPY": _Encoder(_npy, types=()),
}
#: Endings that conversions can be written with.
ALL_WRITABLE = frozenset(
    ending for format in FORMATS if format.name in _ENCODERS for ending in format.endings
)


def _encoder(path: Path) -> _Encoder:
    format = by_ending(path)
    assert format is not None
    return _ENCODERS[format.name]
