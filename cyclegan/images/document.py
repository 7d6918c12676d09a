"""Files of one picture, of many pages, or of frames that move: all their bits, read and written."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from cyclegan.atomic import atomic_write
from cyclegan.errors import UserError
from cyclegan.images.encoding import Encoding
from cyclegan.images.formats import WRITTEN, ImageFormat, by_ending, format_of
from cyclegan.images.picture import RANGES, Document, Picture, PixelDepth, Range, Size
from cyclegan.images.pillow import (
    UnreadableImageError,
    has_deep_mode,
    read_by_pillow,
    reading,
    size_by_pillow,
)


def open_document(path: Path, values: tuple[float, float] | None = None) -> Document:
    """Open a file; `values` are those that are -1 and 1, for types that have no range.

    Raises UnreadableImageError, naming the file and the reason; so does reading its pictures.
    """
    with reading(path):
        given = None if values is None else Range(*values)
        format = format_of(path)
        codec = format.codec() if format else None
        opened = (codec and codec.read(path, given)) or read_by_pillow(path, given)
        return replace(opened, pictures=_checked(path, opened.pictures))


def _checked(path: Path, pictures: Iterable[Picture]) -> Iterator[Picture]:
    coming = iter(pictures)
    while True:
        with reading(path):
            picture = next(coming, None)
        if picture is None:
            return
        yield picture


def is_deep(path: Path, channels: int) -> bool:
    """Whether 8-bit grayscale or colour would lose what `path` holds; reads its header."""
    if channels not in (1, 3):
        return True
    try:
        format = format_of(path)
        codec = format.codec() if format else None
        return format is not None and (codec.is_deep if codec else has_deep_mode)(path)
    except OSError:  # whoever reads it says what is wrong
        return False


def read_deep(path: Path, channels: int, values: tuple[float, float] | None) -> Picture:
    """The first picture of a file with all its bits, upright; `values` are as in `open_document`.

    Raises UnreadableImageError, naming the file and the reason.
    """
    for picture in open_document(path, values).pictures:
        try:
            return picture.with_channels(channels)
        except UserError as error:
            raise UnreadableImageError(f"{path}: {error}") from None
    raise UnreadableImageError(f"{path}: holds no picture")


def read_whole(path: Path) -> Size:
    """The size of a deep file's first picture, all of which was decoded; whatever its values."""
    for picture in open_document(path, (0.0, 1.0)).pictures:
        return picture.size
    raise UnreadableImageError(f"{path}: holds no picture")


def size(path: Path) -> Size:
    """Width and height of the upright picture, from the file's header alone.

    Raises UnreadableImageError, naming the file and the reason.
    """
    with reading(path):
        format = format_of(path)
        codec = format.codec() if format else None
        width, height = (codec and codec.size(path)) or size_by_pillow(path)
        if not width or not height:
            raise OSError(f"it is {width}x{height} pixels")
        return width, height


def write_document(
    path: Path, pictures: Iterable[Picture], like: Document, encoding: Encoding
) -> None:
    """Write the format that the name ends in; the file appears under its name whole or never.

    `like` says how many pictures come, and how they move. Raises UserError where the format can't
    hold them.
    """
    check_holds(path, like)
    format = _written(path)
    codec = format.codec()
    assert codec is not None
    assert codec.write is not None
    with atomic_write(path) as unfinished:
        codec.write(unfinished, _fitting(pictures, format, path), like, encoding)


def check_holds(path: Path, document: Document) -> None:
    """Raise UserError where the format that `path` ends in can't hold so many pictures."""
    format = _written(path)
    if document.count == 1 or format.pages or (document.moving and format.moves):
        return
    what = "frames" if document.moving else "pages"
    able = [one for one in WRITTEN if (one.moves if document.moving else one.pages)]
    *others, last = [one.endings[0][1:] for one in reversed(able)]
    endings = f"{', '.join(others)} or {last}" if others else last
    raise UserError(
        f"{path}: {path.suffix[1:].upper()} holds one picture, this has {document.count} "
        f"{what}: give --format {endings}"
    )


def depth_to_write(path: Path, picture: Picture) -> PixelDepth:
    """The depth in which a picture is written to `path`: no fewer bits than it has, where the
    format holds them."""
    depths = _written(path).depths
    if not depths or picture.pixels.dtype.name in depths:
        return picture.depth
    deepest = "uint8" if picture.pixels.dtype.itemsize == 1 else depths[-1]
    return PixelDepth(np.dtype(deepest), RANGES[deepest])


def _fitting(pictures: Iterable[Picture], format: ImageFormat, path: Path) -> Iterator[Picture]:
    """The same. Raises UserError where one has more pixels a side than the format can hold."""
    for picture in pictures:
        if format.longest is not None and max(picture.size) > format.longest:
            width, height = picture.size
            raise UserError(
                f"{path}: {width}x{height} is more than {path.suffix[1:].upper()} can hold "
                f"({format.longest} a side): give --format png"
            )
        yield picture


def _written(path: Path) -> ImageFormat:
    format = by_ending(path)
    assert format is not None
    return format
