"""Codecs, which read and write the files of a format; those that Pillow writes: JPEG, WebP, GIF."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cyclegan.images import Encoding
from cyclegan.images.picture import Document, Picture, Range, Size

#: Reads a file; None where Pillow reads it rightly.
ReadFile = Callable[[Path, Range | None], Document | None]
#: Writes pictures to a file; the document says how many come, and how they move.
WriteFile = Callable[[Path, Iterable[Picture], Document, Encoding], None]


@dataclass(frozen=True)
class Codec:
    """The functions of a format beside the way in which Pillow reads it."""

    read: ReadFile = lambda path, values: None
    write: WriteFile | None = None
    """None where conversions are written in another format instead"""
    is_deep: Callable[[Path], bool] = lambda path: False
    """whether 8-bit grayscale or colour would lose what a file holds"""
    size: Callable[[Path], Size | None] = lambda path: None
    """of the upright picture, from the header; None where Pillow says it"""


def as_pillow(picture: Picture) -> Image.Image:
    """Return the picture as Pillow holds it: L, RGB, LA, RGBA, I;16 or F."""
    pixels = picture.pixels
    if picture.alpha is not None:
        return Image.fromarray(np.concatenate([pixels, picture.alpha[:, :, None]], axis=2))
    return Image.fromarray(
        np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    )


def save_by_pillow(
    name: str, file: Path, pictures: Iterable[Picture], like: Document, more: dict[str, Any]
) -> None:
    """Write one picture with Pillow, or frames that move as those of `like` do."""
    if not like.moving:
        picture = next(iter(pictures))
        image = as_pillow(picture)
        image.save(file, name, **more, **picture.tags.fitting("RGB").saved())
        return
    frames = list(pictures)
    first, *rest = [as_pillow(picture) for picture in frames]
    tags = frames[0].tags.fitting("RGB").saved()
    first.save(file, name, save_all=True, append_images=rest, **like.moving, **more, **tags)


def _jpeg(file: Path, pictures: Iterable[Picture], like: Document, how: Encoding) -> None:
    picture = next(iter(pictures))
    image = _on_white(as_pillow(picture))
    losses = _losses(_fitting_tables(picture.tags.jpeg, image.mode), how)
    image.save(file, "JPEG", **losses, **picture.tags.fitting(image.mode).saved())


def _losses(like: dict[str, Any], how: Encoding) -> dict[str, Any]:
    """Return the quality and chroma of a JPEG, as Pillow takes them."""
    given = {"quality": how.quality} if how.quality else like or {"quality": 95}
    chroma = {"subsampling": f"4:{how.chroma[1]}:{how.chroma[2]}"} if how.chroma else {}
    return {"subsampling": 0, **given, **chroma}


def _fitting_tables(jpeg: Any, mode: str) -> dict[str, Any]:
    """Return the tables if they fit the mode: a grayscale JPEG has one, a coloured one two."""
    tables = jpeg.get("qtables", {})
    return dict(jpeg) if tables and len(tables) == (1 if mode == "L" else 2) else {}


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert(image.mode[:-1])


def _webp(file: Path, pictures: Iterable[Picture], like: Document, how: Encoding) -> None:
    more = {"quality": how.quality or 95, "exact": True}  # colours under full transparency stay
    save_by_pillow("WEBP", file, pictures, like, more)


def _gif(file: Path, pictures: Iterable[Picture], like: Document, how: Encoding) -> None:
    save_by_pillow("GIF", file, pictures, like, {"disposal": 2})


JPEG, WEBP, GIF = Codec(write=_jpeg), Codec(write=_webp), Codec(write=_gif)
