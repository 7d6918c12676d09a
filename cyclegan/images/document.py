"""Image files of one picture, pages or frames, read and written with all bits or with 8."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cyclegan.atomic import atomic_write
from cyclegan.errors import UserError
from cyclegan.images import Encoding
from cyclegan.images.formats import WRITTEN, ImageFormat, by_ending, format_of
from cyclegan.images.picture import RANGES, Document, Picture, PixelDepth, Range, Size
from cyclegan.images.pillow import (
    UnreadableImageError,
    has_deep_mode,
    lies_sideways,
    open_image,
    read_by_pillow,
    reading,
    size_by_pillow,
)
from cyclegan.images.tags import on_screen, orientation_of


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
    """Return whether 8-bit grayscale or colour would lose what `path` holds; reads its header."""
    if channels not in (1, 3):
        return True
    try:
        format = format_of(path)
        codec = format.codec() if format else None
        return format is not None and (codec.is_deep if codec else has_deep_mode)(path)
    except OSError:  # whoever reads it says what is wrong
        return False


def read_deep(path: Path, channels: int, values: tuple[float, float] | None) -> Picture:
    """Read the first picture of a file with all its bits, upright.

    `values` are as in `open_document`. Raises UnreadableImageError, naming the file and the reason.
    """
    for picture in open_document(path, values).pictures:
        try:
            return picture.with_channels(channels)
        except UserError as error:
            raise UnreadableImageError(f"{path}: {error}") from None
    raise UnreadableImageError(f"{path}: holds no picture")


def read_whole(path: Path) -> Size:
    """Decode all of a deep file's first picture, whatever its values; return its size."""
    for picture in open_document(path, (0.0, 1.0)).pictures:
        return picture.size
    raise UnreadableImageError(f"{path}: holds no picture")


def size(path: Path) -> Size:
    """Return width and height of the upright picture, from the file's header alone.

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
    """Write a file in the format that its name ends in; it appears under its name whole or never.

    `like` says how many pictures come, and how they move. Raises UserError if the format can't hold
    them.
    """
    check_holds(path, like)
    format = _written(path)
    codec = format.codec()
    assert codec is not None
    assert codec.write is not None
    with atomic_write(path) as unfinished:
        codec.write(unfinished, _fitting(pictures, format, path), like, encoding)


def check_holds(path: Path, document: Document) -> None:
    """Raise UserError if the format that `path` ends in can't hold so many pictures."""
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
    """Return the depth in which a picture is written to `path`.

    It has no fewer bits than the picture if the format holds them.
    """
    depths = _written(path).depths
    if not depths or picture.pixels.dtype.name in depths:
        return picture.depth
    deepest = "uint8" if picture.pixels.dtype.itemsize == 1 else depths[-1]
    return PixelDepth(np.dtype(deepest), RANGES[deepest])


def _fitting(pictures: Iterable[Picture], format: ImageFormat, path: Path) -> Iterator[Picture]:
    """Yield the pictures. Raises UserError if a side is longer than the format can hold."""
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


def read(path: Path, channels: int, enough: Callable[[Size], Size] | None = None) -> Image.Image:
    """Decode a file as 8-bit grayscale (`channels` 1) or RGB (3), upright.

    EXIF orientation and colour profiles are applied, transparency is laid on white, 16-bit values
    are scaled to 8. `enough` returns, for an upright size, how many pixels a side are needed: a
    JPEG that has many times as many is decoded at a half, a quarter or an eighth of its size, which
    is much quicker. Raises UnreadableImageError, naming the file and the reason.
    """
    with reading(path), open_image(path) as image:
        if enough is not None and image.format == "JPEG":
            _decode_smaller(image, enough)
        image.load()
        return as_mode(image, channels)


def as_mode(image: Image.Image, channels: int) -> Image.Image:
    """Convert a picture of any mode to 8-bit grayscale (`channels` 1) or RGB (3), upright.

    Raises ValueError if its values have no known range.
    """
    try:
        turned = orientation_of(image) != 1
        upright = ImageOps.exif_transpose(image) if turned else image
    except Exception:  # a damaged EXIF block is no reason to refuse a whole picture
        upright = image
    opaque = _on_white(_eight_bit(upright))
    plain, mode = on_screen(opaque, upright.info.get("icc_profile")), _MODES[channels]
    return plain if plain.mode == mode else plain.convert(mode)  # converting would copy it


def to_tensor(pixels: Image.Image | npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> Tensor:
    """Convert pixels (H, W) or (H, W, C) to float32 (C, H, W) in [-1, 1].

    8-bit pixels are in [0, 255], float32 ones in [0, 1].
    """
    array = np.array(pixels)  # a copy: torch must not share Pillow's memory
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype == np.float32:
        return torch.from_numpy(array).permute(2, 0, 1).contiguous() * 2 - 1
    return torch.from_numpy(array).permute(2, 0, 1).contiguous().float().div_(127.5).sub_(1)


def to_image(tensor: Tensor) -> Image.Image:
    """Convert (C, H, W) in [-1, 1] to an 8-bit picture of `as_colours`; rounded, not cut off."""
    levels = ((as_colours(tensor.detach()).float() + 1) * 127.5).round().clamp(0, 255)
    array = levels.to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def as_colours(tensor: Tensor) -> Tensor:
    """Return what can be seen of (..., C, H, W): the first three channels, or the first one."""
    channels = tensor.shape[-3]
    return tensor[..., : 3 if channels >= 3 else 1, :, :]


def write(image: Image.Image, path: Path) -> None:
    """Write an image in the format that its name ends in; it appears whole or never."""
    pixels = np.asarray(image)
    picture = Picture(pixels[:, :, None] if pixels.ndim == 2 else pixels, RANGES["uint8"])
    write_document(path, [picture], Document([picture]), Encoding())


def data_url(image: Image.Image, quality: int) -> str:
    """Return the picture as a JPEG inside a URL, for a page that has no files beside it."""
    encoded = io.BytesIO()
    image.convert("RGB").save(encoded, format="JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def _decode_smaller(image: Image.Image, enough: Callable[[Size], Size]) -> None:
    """Let the decoder leave out frequencies that scaling down would remove anyway.

    With a quarter more pixels a side than are needed, the result of scaling differs from that of
    the whole picture by half a level on average, by two where each pixel is unlike the next.
    """
    turned = lies_sideways(image)
    width, height = enough(image.size[::-1] if turned else image.size)
    needed = (height, width) if turned else (width, height)
    image.draft(None, (needed[0] * 5 // 4, needed[1] * 5 // 4))


_MODES = {1: "L", 3: "RGB"}


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale the 16-bit grayscale modes to 8 bits: Pillow's own conversion cuts them off at 255."""
    if image.mode == "F":
        raise ValueError("32-bit float pixels have no known range: save it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit integer pixels have no known range: save it with 8 or 16 bits")
    return Image.fromarray((values / 257).round().astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    """Lay a transparent picture on white: what hides under full transparency is no picture."""
    if not image.has_transparency_data:
        return image
    opaque = image.convert("RGBA")
    white = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(white, opaque).convert("RGB")
