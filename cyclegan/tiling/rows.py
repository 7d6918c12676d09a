"""Maps that are never whole in memory: they compute the rows that are asked for."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import Buffer

from cyclegan.errors import UserError

EPSILON = 1e-5  # as torch's normalisations add it to the variance


@dataclass(frozen=True)
class Moments:
    """Moments of every channel: number of values, mean (C) and summed squared distance (C)."""

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, part: Tensor) -> "Moments":
        """Return the moments of a part (1, C, H, W); float32 within it, float64 from then on."""
        full = part if part.dtype == torch.float64 else part.float()
        # Row by row of pixels of channels: var_mean takes four times as long in this layout.
        pixels = full.permute(0, 2, 3, 1).reshape(-1, full.shape[1])
        mean = pixels.mean(0)
        variance = (pixels - mean).square_().mean(0)
        return cls(len(pixels), mean.double(), variance.double() * len(pixels))

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both parts.

        Chan et al. 1983, "Algorithms for Computing the Sample Variance".
        """
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        shared = apart.square() * (self.count * other.count / count)
        return Moments(count, mean, self.squares + other.squares + shared)

    @property
    def deviation(self) -> Tensor:
        """Standard deviation (C) to divide by, with torch's epsilon added to the variance."""
        return (self.squares / self.count + EPSILON).sqrt()

    def normalize(self, part: Tensor) -> Tensor:
        """Normalise (1, C, H, W) to mean 0 and variance 1 over all parts, in the part's type."""
        full = part if part.dtype == torch.float64 else part.float()
        scale = self.deviation.reciprocal()
        scaled = full * scale.to(full.dtype).view(1, -1, 1, 1)
        shift = (self.mean * scale).to(full.dtype)
        return scaled.sub_(shift.view(1, -1, 1, 1)).to(part.dtype)


class Rows(Protocol):
    """A map (1, C, H, W) that gives any of its rows."""

    @property
    def shape(self) -> "Shape": ...
    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W)."""
        ...


@dataclass(frozen=True)
class Shape:
    """Channels, height and width of a map."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        """Number of elements of the map."""
        return self.channels * self.height * self.width


class TiledPicture(Protocol):
    """A picture in [-1, 1] that gives any rectangle of its pixels."""

    @property
    def shape(self) -> Shape: ...
    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Return (1, C, bottom - top, right - left), float32 unless made of another type."""
        ...


@dataclass(frozen=True)
class PixelsInMemory:
    """A picture (C, H, W) in memory, as it goes into the network."""

    image: Tensor

    @property
    def shape(self) -> Shape:
        """Shape of the image."""
        return Shape(*self.image.shape)

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Return (1, C, bottom - top, right - left)."""
        return self.image[None, :, top:bottom, left:right]


@dataclass(frozen=True)
class First:
    """Rows of a picture, in the type and layout that `cast` gives."""

    picture: TiledPicture
    cast: Callable[[Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """Shape of the picture."""
        return self.picture.shape

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W)."""
        return self.cast(self.picture.window(start, stop, 0, self.shape.width))


@dataclass(frozen=True)
class Mapped:
    """A function of each pixel of a map by itself."""

    source: Rows
    function: Callable[[Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """Shape of the source."""
        return self.source.shape

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W)."""
        return self.function(self.source.rows(start, stop))


@dataclass(frozen=True)
class Joined:
    """A function of each pixel of two maps; its result has the shape of the first map."""

    first: Rows
    second: Rows
    function: Callable[[Tensor, Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """Shape of the first map."""
        return self.first.shape

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W)."""
        return self.function(self.first.rows(start, stop), self.second.rows(start, stop))


Border = Literal["reflect", "replicate", "constant"]


@dataclass(frozen=True)
class Padded:
    """A map with `high` more rows above and below, and `wide` more columns at each side."""

    source: Rows
    high: int
    wide: int
    border: Border

    @property
    def shape(self) -> Shape:
        """Shape with the padding."""
        inner = self.source.shape
        return Shape(inner.channels, inner.height + 2 * self.high, inner.width + 2 * self.wide)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W)."""
        first, last = start - self.high, stop - self.high
        height = self.source.shape.height
        # What lies outside is made of as many rows inside, or of the outermost one.
        reach = self.high + 1
        low = max(0, min(first, height - reach))
        high = min(height, max(last, reach))
        inner = self.source.rows(low, high)
        above, below = max(0, -first), max(0, last - height)
        margins = (self.wide, self.wide, above, below)
        padded = functional.pad(inner, margins, mode=self.border) if any(margins) else inner
        skipped = max(0, first) - low
        return padded[:, :, skipped : skipped + stop - start]


@dataclass(frozen=True)
class Convolved:
    """A convolution of `kernel` rows at a stride of `stride`; `convolve` pads the columns."""

    source: Rows
    convolve: Callable[[Tensor], Tensor]
    kernel: int
    stride: int
    shape: Shape

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W)."""
        last = (stop - 1) * self.stride + self.kernel
        return self.convolve(self.source.rows(start * self.stride, last))


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution with a stride of two; `padding` rows are cut off above.

    `convolve` cuts off none: row i of its input makes rows 2i to 2i + `kernel` - 1.
    """

    source: Rows
    convolve: Callable[[Tensor], Tensor]
    kernel: int
    padding: int
    shape: Shape

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W)."""
        first = max(0, -(-(start + self.padding - self.kernel + 1) // 2))
        last = min(self.source.shape.height, (stop - 1 + self.padding) // 2 + 1)
        made = self.convolve(self.source.rows(first, last))
        skipped = start + self.padding - 2 * first
        return made[:, :, skipped : skipped + stop - start]


def bands(height: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield `count` bands of rows from top to bottom, of nearly the same height."""
    size = -(-height // count)
    for start in range(0, height, size):
        yield start, min(height, start + size)


@dataclass(frozen=True)
class Scratch:
    """Scratch files for maps that memory should not hold.

    Files, not memory maps: pages of a memory map count as memory of the process. They have no name,
    so that nothing is left of them however the process ends.
    """

    folder: Path
    count: int
    """number of bands of a map"""
    limit: int
    """elements of the largest map kept rather than recomputed"""
    tick: Callable[[], None] = lambda: None
    """called after each band"""

    def keep(self, source: Rows, see: Callable[[Tensor], None] = lambda part: None) -> Rows:
        """Write `source` to a file and return the stored map; `see` is called with each band.

        A map above the limit is passed through `see` too, but computed again when it is asked for.
        Raises UserError where the disk is full.
        """
        if source.shape.elements > self.limit:
            for band in bands(source.shape.height, self.count):
                see(source.rows(*band))
                self.tick()
            return source
        try:
            return self._write(source, see)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise UserError(
                f"{self.folder}: full ({error.strerror}): --scratch DIR names another folder for "
                "scratch files, --tile fast needs none"
            ) from None

    def _write(self, source: Rows, see: Callable[[Tensor], None]) -> "Stored":
        file: BinaryIO = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
        dtype, device = torch.float32, torch.device("cpu")
        for start, stop in bands(source.shape.height, self.count):
            part = source.rows(start, stop)
            see(part)
            dtype, device = part.dtype, part.device
            pixels = part[0].permute(1, 2, 0).contiguous().cpu()  # rows of pixels of channels
            _write_all(file, _bytes(pixels.flatten()))
            self.tick()
        return Stored(source.shape, dtype, device, file)


@dataclass(frozen=True)
class Stored:
    """Rows in a file, which is deleted when nothing refers to them any more."""

    shape: Shape
    dtype: torch.dtype
    device: torch.device
    _file: BinaryIO = field(repr=False)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows (1, C, stop - start, W), channels last."""
        one = self.shape.width * self.shape.channels
        part = torch.empty((stop - start) * one, dtype=self.dtype)
        into = _bytes(part)
        place, done = start * one * part.element_size(), 0
        while done < len(into):
            read = os.preadv(self._file.fileno(), [into[done:]], place + done)
            if not read:
                raise OSError(errno.EIO, "scratch file cut short")
            done += read
        pixels = part.view(1, stop - start, self.shape.width, self.shape.channels)
        return pixels.permute(0, 3, 1, 2).to(self.device)


def _write_all(file: BinaryIO, rest: memoryview) -> None:
    while len(rest):
        rest = rest[file.write(rest) :]


def _bytes(values: Tensor) -> memoryview:
    """Return the memory of `values` (n), to be read and written."""
    return memoryview(cast(Buffer, values.view(torch.uint8).numpy()))
