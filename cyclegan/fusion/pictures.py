"""Pictures whose style is wanted."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from cyclegan import images
from cyclegan.errors import UserError

_SMALLEST = 16  # pixels a side: in less there is no style to see


def open_style(path: Path, side: int, channels: int = 3) -> Tensor:
    """(1, channels, H, W) in [-1, 1]; the shorter side is scaled down to so many pixels.

    Raises UserError where it can't be read, or is too small to have a style.
    """
    image = images.read(path, channels)
    share = min(1.0, side / min(image.size))
    width, height = (round(length * share) for length in image.size)
    if min(width, height) < _SMALLEST:
        raise UserError(
            f"--style {path}: {width}x{height} pixels are too few to show a style, "
            f"{_SMALLEST} a side are needed: give a larger picture"
        )
    return images.to_tensor(image.resize((width, height), Image.Resampling.BICUBIC))[None]
