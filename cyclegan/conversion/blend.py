"""Blending of input and conversion: how much of a conversion is taken over, and where."""

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan import images
from cyclegan.device import sent
from cyclegan.errors import UsageError


@dataclass(frozen=True)
class BlockPosition:
    """The position of a block in its picture, in pixels."""

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
        """Read a mask as light and shade. Raises UserError if it can't be read."""
        pixels = images.to_tensor(images.read(path, 1))[None] / 2 + 0.5
        return cls(path, sha256(pixels.numpy().tobytes()).hexdigest()[:16], pixels)

    def at(self, place: BlockPosition, height: int, width: int) -> Tensor:
        """Return the share (1, height, width) of the block at `place`, in [0, 1]."""
        whole = _scaled(self, place.height, place.width)
        return whole[:, place.top : place.top + height, place.left : place.left + width]


@lru_cache(maxsize=1)  # a large picture comes in many blocks
def _scaled(mask: Mask, height: int, width: int) -> Tensor:
    """Return the mask (1, height, width) scaled to a picture's size."""
    if mask.pixels.shape[2:] == (height, width):
        return mask.pixels[0]
    return functional.interpolate(mask.pixels, (height, width), mode="bilinear", antialias=True)[
        0
    ].clamp(0, 1)


@dataclass(frozen=True)
class Blend:
    """A blend of a picture as it was and as the generator made it."""

    strength: float = 1.0
    """0 is the input, 1 the conversion"""
    keep_luminance: bool = False
    """transfer colour only"""
    keep_color: bool = False
    """transfer luminance only"""
    mask: Mask | None = None
    """where the conversion applies; everywhere if None"""

    @property
    def key(self) -> str:
        """Text of all that decides the pixels, worded as in the digests of earlier versions."""
        kept = f"keep_luminance={self.keep_luminance}, keep_color={self.keep_color}"
        return f"Look(strength={self.strength}, {kept}, mask={self.mask})"

    def check(self, input_nc: int, output_nc: int) -> None:
        """Raise UsageError if the blend needs channels that the generator hasn't."""
        if self.strength != 1 and input_nc != output_nc:
            raise UsageError(
                f"--strength {self.strength}: the generator maps {input_nc} channels to "
                f"{output_nc}, so its output can't be blended with the input"
            )
        if self.mask is not None and input_nc != output_nc:
            raise UsageError(
                f"--mask {self.mask.path}: the generator maps {input_nc} channels to {output_nc}, "
                "so its output can't be blended with the input"
            )
        if (self.keep_luminance or self.keep_color) and (input_nc, output_nc) != (3, 3):
            flag = "--keep_luminance" if self.keep_luminance else "--keep_color"
            raise UsageError(f"{flag} is for colour (3 channels to 3 channels)")

    def of(self, source: Tensor, made: Tensor, place: BlockPosition) -> Tensor:
        """Blend `source` and `made`, (..., C, h, w) in [-1, 1]; the result may slightly exceed it.

        `place` is where this part of the picture lies.
        """
        if self.keep_luminance:
            made = made + _luminance(source - made)
        if self.keep_color:
            made = source + _luminance(made - source)
        if self.strength != 1:
            made = torch.lerp(source, made, self.strength)
        if self.mask is None:
            return made
        height, width = source.shape[-2:]
        share = sent(self.mask.at(place, height, width), source.device).expand_as(source)
        return torch.lerp(source, made, share)


def _luminance(colours: Tensor) -> Tensor:
    """Return the luminance of colours, (..., 3, h, w) -> (..., 1, h, w), by Rec. 601.

    Adding it to colours changes light alone.
    """
    weights = sent(torch.tensor([0.299, 0.587, 0.114]), colours.device).view(3, 1, 1)
    return (colours * weights).sum(-3, keepdim=True)
