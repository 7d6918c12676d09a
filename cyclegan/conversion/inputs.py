"""Pictures as Python has them, opened for a generator, and results returned as the same kind."""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cyclegan import images
from cyclegan.conversion.stages import threads
from cyclegan.errors import UserError
from cyclegan.images.picture import RANGES, Array, Picture, Range
from cyclegan.images.pillow import open_image, reason

_INTEGERS = ("uint8", "uint16")
_ARRAY = "(H, W) or (H, W, C) of uint8, uint16 or floats in [0, 1]"
ACCEPTED = (
    f"a PIL image, a path, an array {_ARRAY}, a tensor (C, H, W) or (N, C, H, W) of floats in "
    "[-1, 1], the bytes of a picture or an open file of them, or an iterable of these"
)
_LEEWAY = 0.5  # of the range that floats may be beyond it: enlarged pictures are, a little


@runtime_checkable
class File(Protocol):
    """An open file: of the system, in memory, of an archive, or from the network."""

    def read(self) -> bytes:
        """Return the bytes from the current position to the end."""
        ...


@runtime_checkable
class Seekable(Protocol):
    """An open file that may support seeking."""

    def seekable(self) -> bool:
        """Return whether the file supports seeking."""
        ...

    def seek(self, offset: int, /) -> int:
        """Move to the position `offset`."""
        ...


@dataclass(frozen=True)
class OpenedInput:
    """A picture, or a batch of them, as a generator takes it."""

    pixels: Tensor
    """(N, C, H, W), float32 in [-1, 1]"""
    close: Callable[[Tensor], Any]
    """generator output -> the kind of the input"""


def is_picture(given: object) -> bool:
    """Return whether `given` is one picture or one batch; any other iterable is many."""
    many = isinstance(given, Iterable) and not isinstance(given, Mapping)
    return isinstance(given, tuple(_KINDS)) or not many


def open_picture(given: object, channels: int) -> OpenedInput:
    """Open a picture for a generator that takes `channels` channels.

    Raises TypeError and ValueError, naming what was given and what is taken, and UserError if a
    file can't be read.
    """
    for kind, open_kind in _KINDS.items():
        if isinstance(given, kind):
            return open_kind(given, channels)
    raise TypeError(f"{type(given).__name__}: expected {ACCEPTED}")


def stream(
    pictures: Iterable[object],
    channels: int,
    convert: Callable[[Tensor], Tensor],
    batch_size: int,
) -> Iterator[Any]:
    """Convert pictures as they come, in their order and in constant memory.

    Consecutive pictures of equal size are converted `batch_size` at a time; one thread reads the
    next ones meanwhile. Raises as `open_picture` at the picture's place.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size}: must be at least 1")
    batch: list[OpenedInput] = []
    for coming in _read_ahead(pictures, channels, batch_size):
        if coming.exception() is not None:  # those before it come first
            yield from _converted(batch, convert)
        opened = coming.result()
        if batch and not _fits(opened, batch, batch_size):
            yield from _converted(batch, convert)
            batch = []
        batch.append(opened)
    yield from _converted(batch, convert)


def _read_ahead(
    pictures: Iterable[object], channels: int, count: int
) -> Iterator[Future[OpenedInput]]:
    """Yield the pictures in their order, read up to `count` ahead; the last one may be an error."""
    coming: deque[Future[OpenedInput]] = deque()
    with threads(1) as reader:
        # Taken here and not in the thread: what makes them may not like to be called there.
        for picture in _with_error(pictures):
            coming.append(reader.submit(_open, picture, channels))
            if len(coming) > count:
                yield coming.popleft()
        yield from coming


def _with_error(pictures: Iterable[object]) -> Iterator[object]:
    """Yield the pictures; an error raised while they are made is yielded as the last one."""
    try:
        yield from pictures
    except Exception as error:
        yield error


def _open(given: object, channels: int) -> OpenedInput:
    if isinstance(given, Exception):
        raise given
    return open_picture(given, channels)


def _fits(opened: OpenedInput, batch: list[OpenedInput], batch_size: int) -> bool:
    count = sum(len(each.pixels) for each in batch) + len(opened.pixels)
    return count <= batch_size and opened.pixels.shape[1:] == batch[0].pixels.shape[1:]


def _converted(batch: list[OpenedInput], convert: Callable[[Tensor], Tensor]) -> Iterator[Any]:
    if not batch:
        return
    made = convert(torch.cat([opened.pixels for opened in batch]))
    parts = torch.split(made, [len(opened.pixels) for opened in batch])
    for opened, part in zip(batch, parts, strict=True):
        yield opened.close(part)


def _image(given: Image.Image, channels: int) -> OpenedInput:
    if channels not in (1, 3):
        raise ValueError(f"this generator takes {channels} channels: give it arrays or tensors")
    if 0 in given.size:
        raise ValueError(f"a picture of {given.width}x{given.height} pixels: must be at least 1x1")
    pixels = images.to_tensor(images.as_mode(given, channels))
    return OpenedInput(pixels[None], lambda made: images.to_image(made[0]))


def _path(given: str | Path, channels: int) -> OpenedInput:
    return _image(images.read(Path(given), 3 if channels == 3 else 1), channels)


def _bytes(given: bytes | bytearray | memoryview, channels: int) -> OpenedInput:
    return _image(_decoded(bytes(given), type(given).__name__, channels), channels)


def _file(given: File, channels: int) -> OpenedInput:
    """Open a picture from an open file, from its beginning if it can seek, as Pillow does.

    The file stays open.
    """
    kind = type(given).__name__
    try:
        if isinstance(given, Seekable) and given.seekable():
            given.seek(0)
        content: object = given.read()
    except UnicodeDecodeError:
        content = ""
    except Exception as error:  # whatever it is: closed, only written to, gone
        raise UserError(f"{kind}: can't be read ({str(error) or type(error).__name__})") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(f'{kind}: returns text, not bytes: open the file with "rb"')
    return _image(_decoded(bytes(content), kind, channels), channels)


def _decoded(content: bytes, kind: str, channels: int) -> Image.Image:
    if not content:
        raise images.UnreadableImageError(f"{kind}: is empty")
    try:
        with open_image(io.BytesIO(content)) as image:
            image.load()  # what is of the right mode already is returned as it is
            return images.as_mode(image, 3 if channels == 3 else 1)
    except Exception as error:  # decoders raise nearly every kind
        raise images.UnreadableImageError(f"{kind}: {reason(Path(), error)}") from error


def _array(given: Array, channels: int) -> OpenedInput:
    floats = np.issubdtype(given.dtype, np.floating)
    if given.ndim not in (2, 3) or not (floats or given.dtype.name in _INTEGERS) or not given.size:
        batch = ": give a batch as a list of them" if given.ndim == 4 else ""
        raise ValueError(
            f"an array of {given.dtype} and shape {given.shape}: expected {_ARRAY}{batch}"
        )
    flat = given.ndim == 2
    values = Range(0, 1) if floats else RANGES[given.dtype.name]
    picture = _with_channels(Picture(given[:, :, None] if flat else given, values), channels)
    if floats:
        _check_range("an array", given.min(), given.max(), values)

    def close(made: Tensor) -> Array:
        pixels = values.of_model(made[0].permute(1, 2, 0), given.dtype)
        return pixels[:, :, 0] if flat and pixels.shape[2] == 1 else pixels

    return OpenedInput(picture.window(0, given.shape[0], 0, given.shape[1]), close)


def _check_range(what: str, low: float, high: float, taken: Range) -> None:
    """Raise ValueError if floats are of another range than `taken`."""
    leeway = _LEEWAY * (taken.high - taken.low)
    if not (low >= taken.low - leeway and high <= taken.high + leeway):  # not a number is neither
        raise ValueError(
            f"{what} of floats from {low:g} to {high:g}: [{taken.low:g}, {taken.high:g}] is needed"
        )


def _with_channels(picture: Picture, channels: int) -> Picture:
    there = picture.pixels.shape[2]
    if there != channels and (there, channels) not in ((1, 3), (3, 1)):
        first = picture.pixels.shape[0] in (1, channels)
        raise ValueError(
            f"an array of {there} channels: this generator takes {channels}"
            + f", and shape {picture.pixels.shape} has them first: "
            "array.transpose(1, 2, 0) makes it (H, W, C)" * first
        )
    return picture.with_channels(channels)


def _tensor(given: Tensor, channels: int) -> OpenedInput:
    batch = given[None] if given.ndim == 3 else given
    if batch.ndim != 4 or batch.shape[1] != channels or not given.numel():
        last = given.ndim in (3, 4) and given.shape[-1] == channels and given.numel() > 0
        order = "2, 0, 1" if given.ndim == 3 else "0, 3, 1, 2"
        raise ValueError(
            f"a tensor of shape {tuple(given.shape)}: ({channels}, H, W) or "
            f"(N, {channels}, H, W) is needed" + f": tensor.permute({order}) makes it that" * last
        )
    if not given.is_floating_point() or given.layout is not torch.strided or given.is_meta:
        raise ValueError(
            f"a tensor of {given.dtype}, {given.layout} on {given.device}: "
            "dense floats in [-1, 1] are needed"
        )
    pixels = batch.detach().to("cpu", torch.float32)
    _check_range("a tensor", float(pixels.min()), float(pixels.max()), Range(-1, 1))

    def close(made: Tensor) -> Tensor:
        return made.reshape(*given.shape[:-3], *made.shape[1:]).to(given)

    return OpenedInput(pixels, close)


#: The one table of what is taken, by type.
_KINDS: dict[type, Callable[[Any, int], OpenedInput]] = {
    Image.Image: _image,
    str: _path,
    Path: _path,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    np.ndarray: _array,
    Tensor: _tensor,
    File: _file,
}
