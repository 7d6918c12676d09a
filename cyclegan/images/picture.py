"""Pictures with all their bits, as files hold them and as generators see them; documents."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from cyclegan.errors import UserError
from cyclegan.images.tags import Native, Tags

Array = npt.NDArray[Any]
Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class Range:
    """The range of a picture's values: `low` and `high` are -1 and 1 to a generator."""

    low: float
    high: float

    def to_model(self, values: Array) -> Tensor:
        """Convert values of any type to float32 in [-1, 1]."""
        return self.normalized(torch.from_numpy(values.astype(np.float32)))

    def normalized(self, values: Tensor) -> Tensor:
        """Normalise float32 values on any device to [-1, 1], in place."""
        half = (self.high - self.low) / 2
        return values.sub_(self.low).div_(half).sub_(1)

    def of_model(self, values: Tensor, dtype: npt.DTypeLike) -> Array:
        """Convert floats in [-1, 1] to `dtype`; whole numbers are rounded and kept in range."""
        if np.dtype(dtype) == np.uint8:  # several times as quick as NumPy's way
            return self.bytes_of_model(values).contiguous().numpy()
        found = self._denormalized(values)
        if np.issubdtype(dtype, np.integer):
            found = self._whole(found, np.dtype(dtype))
        return found.numpy().astype(dtype)

    def bytes_of_model(self, values: Tensor) -> Tensor:
        """Convert as `of_model` does for uint8, on any device."""
        return self._whole(self._denormalized(values), np.dtype(np.uint8)).to(torch.uint8)

    def _denormalized(self, values: Tensor) -> Tensor:
        half = (self.high - self.low) / 2
        return (values.detach().float() + 1).mul_(half).add_(self.low)

    def _whole(self, found: Tensor, dtype: np.dtype[Any]) -> Tensor:
        """Round values and keep them within range and type, in place."""
        limits = np.iinfo(dtype)
        low, high = max(self.low, limits.min), min(self.high, limits.max)
        return found.round_().clamp_(low, high)


#: Of types whose values have a range by themselves.
RANGES = {"uint8": Range(0, 255), "uint16": Range(0, 65535), "int8": Range(-128, 127)}


@dataclass(frozen=True)
class PixelDepth:
    """The type of a picture's values, and their range."""

    type: np.dtype[np.generic]
    range: Range


@dataclass(frozen=True)
class Picture:
    """Pixels (H, W, C) as they are in the file, upright; C is 1, 3 or whatever a model takes."""

    pixels: Array
    range: Range
    alpha: Array | None = None
    """(H, W), of the pixels' type: how opaque they are"""
    tags: Tags = field(default_factory=Tags)
    unseen: Array | None = None
    """(H, W) of bool: pixels that hide or hold no value; they stay as they are"""
    instead: float = 0.0
    """the value that a generator sees there"""
    native: Native | None = None
    """the pixels in the file's own colours, where those are not the screen's"""

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def depth(self) -> PixelDepth:
        """Type and range of the pixels."""
        return PixelDepth(self.pixels.dtype, self.range)

    def with_channels(self, channels: int) -> "Picture":
        """Return the picture as grayscale (1) or colour (3) if it is the other one.

        Raises UserError if it has another number of channels than `channels`.
        """
        there = self.pixels.shape[2]
        if there == channels:
            return self
        if self.alpha is not None and there + 1 == channels:  # to this model it is a channel
            pixels = np.concatenate([self.seen(), self.alpha[:, :, None]], axis=2)
            return replace(self, pixels=pixels, alpha=None, unseen=None)
        if (there, channels) == (1, 3):  # a view: takes no memory
            pixels = np.broadcast_to(self.pixels, (*self.pixels.shape[:2], 3))
        elif (there, channels) == (3, 1):
            pixels = _gray(self.pixels)
        else:
            raise UserError(f"has {there} channels, the generator takes {channels}")
        tags = self._screens_tags().of_other_layout()
        return replace(self, pixels=pixels, native=None, tags=tags)

    def scaled(self, size: Size) -> "Picture":
        """Return the picture scaled to `size`, with all bits."""
        if size == self.size:
            return self
        pixels, unseen = _resized(self.seen(), size), None
        alpha = None if self.alpha is None else _resized(self.alpha[:, :, None], size)[:, :, 0]
        if self.unseen is not None:  # they are not to be mixed with others
            nearest = _nearest(self.size, size)
            unseen = self.unseen[nearest]
            pixels[unseen] = self.pixels[nearest][unseen]
        native = self.native and replace(self.native, pixels=_resized(self.native.pixels, size))
        tags = self.tags.of_other_size()
        return replace(self, pixels=pixels, alpha=alpha, tags=tags, unseen=unseen, native=native)

    def middle(self) -> "Picture":
        """Return the middle square."""
        width, height = self.size
        side = min(width, height)
        top, left = (height - side) // 2, (width - side) // 2
        rows, columns = slice(top, top + side), slice(left, left + side)
        alpha = None if self.alpha is None else self.alpha[rows, columns]
        unseen = None if self.unseen is None else self.unseen[rows, columns]
        pixels, tags = self.pixels[rows, columns], self._screens_tags()
        return replace(self, pixels=pixels, alpha=alpha, unseen=unseen, native=None, tags=tags)

    def shares(self) -> npt.NDArray[np.float32]:
        """Return (H, W, C) in [0, 1] of the range, clipped, with transparency laid on white."""
        span = self.range.high - self.range.low
        found = ((self.seen().astype(np.float32) - self.range.low) / span).clip(0, 1)
        opaque = as_deep(self.alpha, np.dtype(np.uint16))
        if opaque is not None:
            opaque = (opaque.astype(np.float32) / 65535)[..., None]
            found = found * opaque + 1 - opaque
        return found.astype(np.float32)

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Return a window as (1, C, bottom - top, right - left), float32 in [-1, 1]."""
        part = self.range.to_model(self.seen(slice(top, bottom), slice(left, right)))
        return part.permute(2, 0, 1)[None].contiguous()

    def repainted(self, made: Array, range: Range) -> "Picture":
        """Return new pixels (H, W, C) with this picture's transparency, tags and unseen pixels."""
        if self.unseen is not None:
            made[self.unseen] = self._stayed(made, range)
        alike = (made.dtype, made.shape) == (self.pixels.dtype, self.pixels.shape)
        tags = self.tags if alike else self._screens_tags().of_other_layout()
        if self.native is not None and alike:
            made = self.native.changed(self.pixels, made)
        return Picture(made, range, as_deep(self.alpha, made.dtype), tags)

    def _screens_tags(self) -> Tags:
        """Return the tags for pixels that are the screen's, whatever the file's were."""
        return self.tags if self.native is None else replace(self.tags, profile=None)

    def seen(self, rows: slice = slice(None), columns: slice = slice(None)) -> Array:
        """Return the pixels (h, w, C) that a generator sees."""
        part = self.pixels[rows, columns]
        if self.unseen is None:
            return part
        instead = self.pixels.dtype.type(self.instead)
        seen: Array = np.where(self.unseen[rows, columns, None], instead, part)
        return seen

    def _stayed(self, made: Array, range: Range) -> Array:
        """Return the unseen pixels (N, C) as values of `made`: the same if the types are."""
        stayed: Array = self.pixels[self.unseen]
        if made.dtype != self.pixels.dtype or range != self.range:
            held = np.nan_to_num(stayed, nan=self.range.low)
            stayed = range.of_model(self.range.to_model(held), made.dtype)
        return stayed if stayed.shape[1] == made.shape[2] else stayed[:, :1]


@dataclass(frozen=True)
class Document:
    """The pictures of a file, one after the other; read as they are asked for."""

    pictures: Iterable[Picture]
    count: int = 1
    moving: dict[str, Any] = field(default_factory=dict)
    """durations and repetitions of an animation; empty for pages"""
    size: Size | None = None
    """of its picture as it lies in the file, where the header says it; None of several"""


def as_deep(alpha: Array | None, dtype: np.dtype[np.generic]) -> Array | None:
    """Convert transparency to the type of the pixels; None if a type has no range."""
    if alpha is None or alpha.dtype == dtype:
        return alpha
    before, after = RANGES.get(alpha.dtype.name), RANGES.get(dtype.name)
    return (
        None if before is None or after is None else after.of_model(before.to_model(alpha), dtype)
    )


def _gray(pixels: Array) -> Array:
    """Convert (H, W, 3) to (H, W, 1): luminance of Rec. 601, as Pillow has it."""
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
    gray = pixels @ np.array([0.299, 0.587, 0.114])
    whole = np.issubdtype(pixels.dtype, np.integer)
    made: Array = (gray.round() if whole else gray).astype(pixels.dtype)
    return made[:, :, None]


def _nearest(before: Size, after: Size) -> tuple[Array, Array]:
    """Return the rows and columns nearest to each pixel of a picture scaled to `after`."""
    columns, rows = (
        np.arange(there) * here // there for here, there in zip(before, after, strict=True)
    )
    return rows[:, None], columns[None]


def _resized(pixels: Array, size: Size) -> Array:
    bicubic = Image.Resampling.BICUBIC
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, bicubic))
    channels = [
        np.asarray(Image.fromarray(pixels[:, :, number].astype(np.float32)).resize(size, bicubic))
        for number in range(pixels.shape[2])
    ]
    made = np.stack(channels, axis=2)
    if np.issubdtype(pixels.dtype, np.integer):
        limits = np.iinfo(pixels.dtype)
        made = made.round().clip(limits.min, limits.max)
    found: Array = made.astype(pixels.dtype)
    return found
