"""The middle of a picture."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps
from torch import Tensor

from cyclegan import images


@dataclass(frozen=True)
class Square:
    """How pictures are made comparable: their middle square, scaled."""

    side: int
    """pixels"""
    channels: int
    values: tuple[float, float] | None = None
    """that are black and white, where files don't say"""

    def of(self, path: Path) -> Tensor:
        """(C, side, side) in [-1, 1], with all its bits. Raises UnreadableImageError."""
        size = (self.side, self.side)
        if images.is_deep(path, self.channels):
            deep = images.read_deep(path, self.channels, self.values).middle().scaled(size)
            return images.to_tensor(deep.shares())
        image = images.read(path, self.channels)
        return images.to_tensor(ImageOps.fit(image, size, Image.Resampling.BICUBIC))
