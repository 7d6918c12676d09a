"""Maps that are never whole in memory: asked for some rows, they compute those."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor
from torch.nn import functional


class Rows(Protocol):
    """A map (1, C, H, W) that gives any of its rows."""

    @property
    def shape(self) -> "Shape": ...
    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W)"""
        ...


@dataclass(frozen=True)
class Shape:
    """Channels, height and width of a map."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        """Numbers in it."""
        return self.channels * self.height * self.width


class TiledPicture(Protocol):
    """Pixels in [-1, 1] that gives any rectangle of them."""

    @property
    def shape(self) -> Shape: ...
    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, C, bottom - top, right - left), float32 unless it was made of something else."""
        ...


@dataclass(frozen=True)
class PixelsInMemory:
    """A picture (C, H, W) that is in memory as it goes into the network."""

    image: Tensor

    @property
    def shape(self) -> Shape:
        """As the image's."""
        return Shape(*self.image.shape)

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, C, bottom - top, right - left)"""
        return self.image[None, :, top:bottom, left:right]


@dataclass(frozen=True)
class First:
    """The rows of a picture, in the type and layout that `cast` gives."""

    picture: TiledPicture
    cast: Callable[[Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """As the picture's."""
        return self.picture.shape

    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W)"""
        return self.cast(self.picture.window(start, stop, 0, self.shape.width))


@dataclass(frozen=True)
class Mapped:
    """A function of each pixel by itself."""

    source: Rows
    function: Callable[[Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """As the source's."""
        return self.source.shape

    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W)"""
        return self.function(self.source.rows(start, stop))


@dataclass(frozen=True)
class Joined:
    """A function of each pixel of two maps; its result has the first one's shape."""

    first: Rows
    second: Rows
    function: Callable[[Tensor, Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """As the first one's."""
        return self.first.shape

    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W)"""
        return self.function(self.first.rows(start, stop), self.second.rows(start, stop))


Border = Literal["reflect", "replicate", "constant"]


@dataclass(frozen=True)
class Padded:
    """`high` more rows above and below, and `wide` more columns at each side."""

    source: Rows
    high: int
    wide: int
    border: Border

    @property
    def shape(self) -> Shape:
        """Larger than the source's."""
        inner = self.source.shape
        return Shape(inner.channels, inner.height + 2 * self.high, inner.width + 2 * self.wide)

    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W)"""
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
    """A convolution of `kernel` rows at every `stride`-th; columns are padded by `convolve`."""

    source: Rows
    convolve: Callable[[Tensor], Tensor]
    kernel: int
    stride: int
    shape: Shape

    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W)"""
        last = (stop - 1) * self.stride + self.kernel
        return self.convolve(self.source.rows(start * self.stride, last))


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution with a stride of two, of which `padding` rows are cut off above.

    `convolve` cuts off none: row i of what it is given makes rows 2i to 2i + `kernel` - 1.
    """

    source: Rows
    convolve: Callable[[Tensor], Tensor]
    kernel: int
    padding: int
    shape: Shape

    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W)"""
        first = max(0, -(-(start + self.padding - self.kernel + 1) // 2))
        last = min(self.source.shape.height, (stop - 1 + self.padding) // 2 + 1)
        made = self.convolve(self.source.rows(first, last))
        skipped = start + self.padding - 2 * first
        return made[:, :, skipped : skipped + stop - start]


def bands(height: int, count: int) -> Iterator[tuple[int, int]]:
    """`count` bands of rows from top to bottom, of nearly the same height."""
    size = -(-height // count)
    for start in range(0, height, size):
        yield start, min(height, start + size)
