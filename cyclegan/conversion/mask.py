"""Where a conversion is taken over."""

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from cyclegan import images


@dataclass(frozen=True)
class Place:
    """Where a block lies in its picture, in pixels."""

    height: int
    """of the whole picture"""
    width: int
    top: int = 0
    left: int = 0


@dataclass(frozen=True)
class Mask:
    """A picture whose white says where conversions are taken over, whatever their size."""

    path: Path
    digest: str
    """of its pixels: equal digests mask equally"""
    pixels: Tensor = field(repr=False, compare=False)
    """(1, 1, H, W) in [0, 1]"""

    @classmethod
    def read(cls, path: Path) -> "Mask":
        """Read it as light and shade. Raises UserError where it can't be read."""
        pixels = images.to_tensor(images.read(path, 1))[None] / 2 + 0.5
        return cls(path, sha256(pixels.numpy().tobytes()).hexdigest()[:16], pixels)

    def at(self, place: Place, height: int, width: int) -> Tensor:
        """The share (1, height, width) of a block there, in [0, 1]."""
        whole = _scaled(self, place.height, place.width)
        return whole[:, place.top : place.top + height, place.left : place.left + width]


@lru_cache(maxsize=1)  # a large picture comes in many blocks
def _scaled(mask: Mask, height: int, width: int) -> Tensor:
    """(1, height, width)"""
    if mask.pixels.shape[2:] == (height, width):
        return mask.pixels[0]
    return functional.interpolate(mask.pixels, (height, width), mode="bilinear", antialias=True)[
        0
    ].clamp(0, 1)
