"""Preprocess modes, and the crops of pictures that are compared: the center, or random squares."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cyclegan import images
from cyclegan.data import DataSettings, PreprocessMode
from cyclegan.images import Size


@dataclass(frozen=True)
class Preprocess:
    """One mode: the size to scale to, and whether a crop of crop_size follows."""

    scaled: Callable[[Size, DataSettings], Size]
    crops: bool
    alike: bool = False
    """whether all images are resized to the same size"""

    def scale(self, image: Image.Image, settings: DataSettings) -> Image.Image:
        """Scale by Pillow's bicubic filter, which is antialiased when it shrinks."""
        size = self.scaled(image.size, settings)
        return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)

    def result(self, size: Size, settings: DataSettings) -> Size:
        """Return the size that this mode makes of an image of `size`, crop included."""
        if self.crops:
            return (settings.crop_size, settings.crop_size)
        width, height = self.scaled(size, settings)
        return (width - width % 4, height - height % 4)


def _square(size: Size, settings: DataSettings) -> Size:
    return (settings.load_size, settings.load_size)


def _as_it_is(size: Size, settings: DataSettings) -> Size:
    return size


def _to_width(size: Size, settings: DataSettings) -> Size:
    """Return the size scaled to the width load_size, with a height of at least crop_size."""
    width, height = size
    if width == settings.load_size and height >= settings.crop_size:
        return size
    scaled_height = max(settings.load_size * height / width, settings.crop_size)
    return (settings.load_size, int(scaled_height))


def _to_multiples_of_four(size: Size, settings: DataSettings) -> Size:
    width, height = (max(4, round(side / 4) * 4) for side in size)
    return (width, height)


#: The one table of preprocess modes (`--preprocess`).
PREPROCESS: dict[PreprocessMode, Preprocess] = {
    "resize_and_crop": Preprocess(_square, crops=True, alike=True),
    "crop": Preprocess(_as_it_is, crops=True),
    "scale_width": Preprocess(_to_width, crops=False),
    "scale_width_and_crop": Preprocess(_to_width, crops=True),
    "none": Preprocess(_to_multiples_of_four, crops=False),
}


LONGEST = 1024  # pixels of the longer side of a whole picture; larger ones are scaled down
OVERLAP = 5  # squares that may lie over each place of a picture, on average


class View(Protocol):
    """The part of pictures that is compared: each is converted whole, then cut into squares."""

    @property
    def together(self) -> bool:
        """True if all whole pictures have one size."""

    def whole(self, path: Path) -> Tensor:
        """Read a picture, (C, H, W) in [-1, 1], with all its bits. Raises UnreadableImageError."""

    def cut(self, whole: Tensor) -> Tensor:
        """Cut (C, H, W) into (N, C, side, side), the same places in all pictures of one size."""


@dataclass(frozen=True)
class CenterCrop:
    """The middle square of a picture, scaled."""

    side: int
    """pixels"""
    channels: int
    values: tuple[float, float] | None = None
    """of black and white, if files don't say"""
    together = True

    def of(self, path: Path) -> Tensor:
        """Read (C, side, side) in [-1, 1], with all its bits. Raises UnreadableImageError."""
        size = (self.side, self.side)
        if images.is_deep(path, self.channels):
            deep = images.read_deep(path, self.channels, self.values).middle().scaled(size)
            return images.to_tensor(deep.shares())
        image = images.read(path, self.channels)
        return images.to_tensor(ImageOps.fit(image, size, Image.Resampling.BICUBIC))

    def whole(self, path: Path) -> Tensor:
        return self.of(path)

    def cut(self, whole: Tensor) -> Tensor:
        return whole.unsqueeze(0)


@dataclass(frozen=True)
class Crops:
    """Squares from all over a picture, which keeps its size."""

    square: CenterCrop
    count: int
    """per picture, fewer if they don't fit"""
    together = False

    def whole(self, path: Path) -> Tensor:
        """Read a picture with sides that are multiples of 4, as networks take them."""
        square = self.square
        if images.is_deep(path, square.channels):
            deep = images.read_deep(path, square.channels, square.values)
            image = images.to_tensor(deep.scaled(self._scaled(deep.size)).shares())
        else:
            read = images.read(path, square.channels)
            size = self._scaled(read.size)
            image = images.to_tensor(read.resize(size, Image.Resampling.BICUBIC, reducing_gap=3))
        height, width = (max(side // 4 * 4, square.side) for side in image.shape[1:])
        return image[:, :height, :width]

    def cut(self, whole: Tensor) -> Tensor:
        side = self.square.side
        places = self._corners(*whole.shape[1:])
        return torch.stack([whole[:, y : y + side, x : x + side] for y, x in places])

    def _scaled(self, size: images.Size) -> images.Size:
        """Return the size scaled to sides of at most LONGEST and at least a square's side."""
        scale = max(min(1.0, LONGEST / max(size)), self.square.side / min(size))
        width, height = (max(round(length * scale), self.square.side) for length in size)
        return width, height

    def _corners(self, height: int, width: int) -> Iterator[tuple[int, int]]:
        """Yield top and left of each square: random, but the same in every run."""
        side = self.square.side
        down, across = height - side, width - side
        fitting = OVERLAP * height * width // side**2 if down or across else 1
        random = np.random.default_rng((2020, height, width))
        for _ in range(min(self.count, fitting)):
            yield int(random.integers(down + 1)), int(random.integers(across + 1))
