"""The only place where image files become tensors in [-1, 1], and tensors files."""

import base64
import io
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import EpsImagePlugin, Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from cyclegan.atomic import atomic_write
from cyclegan.errors import UserError
from cyclegan.images.formats import PILLOWS, by_ending
from cyclegan.images.profiles import on_screen
from cyclegan.images.quiet import quiet_decoders

Size = tuple[int, int]  # width, height

quiet_decoders()
# An EPS, whatever it is called, would start Ghostscript.
EpsImagePlugin.gs_binary = False
# Text is not kept, but the picture beside it is; so much is unpacked at most, as for all of it.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY


class UnreadableImageError(UserError):
    """A file that is no image, or not a whole one."""


def read(path: Path, channels: int, enough: Callable[[Size], Size] | None = None) -> Image.Image:
    """Decode a file as 8-bit grayscale (`channels` 1) or RGB (3), upright.

    EXIF orientation and colour profiles are applied, transparency laid on white, 16-bit values
    scaled to 8. `enough` says for an upright size how many pixels a side are needed of it: a JPEG
    that has many times as many is decoded at a half, a quarter or an eighth of its size, which is
    much quicker.
    Raises UnreadableImageError, naming the file and the reason.
    """
    try:
        with open_image(path) as image:
            if enough is not None and image.format == "JPEG":
                _decode_smaller(image, enough)
            image.load()
            return as_mode(image, channels)
    except Exception as error:  # decoders raise nearly every kind of exception
        raise UnreadableImageError(f"{path}: {reason(path, error)}") from error


def open_image(path: Path) -> Image.Image:
    """Open a file of one of the formats that are read here, whatever it is called."""
    return Image.open(path, formats=_decoders())


@cache
def _decoders() -> tuple[str, ...]:
    """Those that this Pillow was built with."""
    Image.init()
    return tuple(name for name in PILLOWS if name in Image.OPEN)


def as_mode(image: Image.Image, channels: int) -> Image.Image:
    """Turn a decoded picture of any mode into 8-bit grayscale (`channels` 1) or RGB (3), upright.

    Raises ValueError where its values have no known range.
    """
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        upright = ImageOps.exif_transpose(image) if turned else image
    except Exception:  # a damaged EXIF block is no reason to refuse a whole picture
        upright = image
    opaque = _on_white(_eight_bit(upright))
    plain, mode = on_screen(opaque, upright.info.get("icc_profile")), _MODES[channels]
    return plain if plain.mode == mode else plain.convert(mode)  # converting would copy it


def size(path: Path) -> Size:
    """Width and height of the upright picture, from the file's header alone.

    Raises UnreadableImageError, naming the file and the reason.
    """
    try:
        with open_image(path) as image:
            return image.size[::-1] if _lies_sideways(image) else image.size
    except Exception as error:  # as above
        raise UnreadableImageError(f"{path}: {reason(path, error)}") from error


def to_tensor(pixels: Image.Image | npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> Tensor:
    """Pixels (H, W) or (H, W, C) -> float32 (C, H, W) in [-1, 1].

    8-bit ones are in [0, 255], float32 ones in [0, 1].
    """
    array = np.array(pixels)  # a copy: torch must not share Pillow's memory
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype == np.float32:
        return torch.from_numpy(array).permute(2, 0, 1).contiguous() * 2 - 1
    return torch.from_numpy(array).permute(2, 0, 1).contiguous().float().div_(127.5).sub_(1)


def to_image(tensor: Tensor) -> Image.Image:
    """(C, H, W) in [-1, 1] -> an 8-bit picture of `as_colours`; rounded, not cut off."""
    levels = ((as_colours(tensor.detach()).float() + 1) * 127.5).round().clamp(0, 255)
    array = levels.to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def as_colours(tensor: Tensor) -> Tensor:
    """(..., C, H, W) -> what can be looked at of it: the first three channels, or the first one."""
    channels = tensor.shape[-3]
    return tensor[..., : 3 if channels >= 3 else 1, :, :]


def write(image: Image.Image, path: Path) -> None:
    """Write the format that the name ends in; the file appears under its name whole or never."""
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        _encode(image, file, path)


def data_url(image: Image.Image, quality: int) -> str:
    """The picture as a JPEG inside a URL, for a page that has no files beside it."""
    encoded = io.BytesIO()
    image.convert("RGB").save(encoded, format="JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def _decode_smaller(image: Image.Image, enough: Callable[[Size], Size]) -> None:
    """Let the decoder leave out frequencies that scaling down would remove anyway.

    With a quarter more pixels a side than are needed, the result of scaling differs from that of
    the whole picture by half a level on average, by two where each pixel is unlike the next.
    """
    turned = _lies_sideways(image)
    width, height = enough(image.size[::-1] if turned else image.size)
    needed = (height, width) if turned else (width, height)
    image.draft(None, (needed[0] * 5 // 4, needed[1] * 5 // 4))


def _lies_sideways(image: Image.Image) -> bool:
    """Whether EXIF swaps width and height; Pillow gives the size of a TIFF upright already."""
    return image.format != "TIFF" and lies_sideways(image.getexif().get(_ORIENTATION, 1))


def lies_sideways(orientation: int) -> bool:
    """Whether EXIF's orientation swaps width and height."""
    return orientation in _SIDEWAYS


def _encode(image: Image.Image, file: BinaryIO, path: Path) -> None:
    suffix = path.suffix.lower()
    check_longest(image.size, path)
    image.save(file, format=_FORMATS[suffix], **_QUALITY[suffix])


def check_longest(size: Size, path: Path) -> None:
    """Raise UserError where the format that `path` ends in can't hold so many pixels a side."""
    format = by_ending(path)
    longest = format.longest if format else None
    if longest is not None and max(size) > longest:
        raise UserError(
            f"{path}: {size[0]}x{size[1]} is more than {path.suffix[1:].upper()} can hold "
            f"({longest} a side): give --format png"
        )


_MODES = {1: "L", 3: "RGB"}
_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_JPEG = {"quality": 95, "subsampling": 0}
_QUALITY: dict[str, dict[str, int]] = {
    # Of filtered pixels runs are nearly all that can be packed: the same size in half the time.
    ".png": {"compress_type": zlib.Z_RLE},
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": {"quality": 95},
}
#: Endings that can be written.
WRITABLE = frozenset(_FORMATS)


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
    """Lay transparent pictures on white: what hides under full transparency is no picture."""
    if not image.has_transparency_data:
        return image
    opaque = image.convert("RGBA")
    white = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(white, opaque).convert("RGB")


def reason(path: Path, error: Exception) -> str:
    """What is wrong with a file that a decoder would not take."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError | IsADirectoryError):
        return error.strerror or "cannot be opened"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels (a decompression bomb?): scale it down first"
    if path.is_file() and path.stat().st_size == 0:
        return "empty file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known kind"
    return f"damaged image ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
