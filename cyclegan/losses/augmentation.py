"""Augmentation of what the discriminators see, real and converted alike, with gradients.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training": a discriminator
that sees few pictures learns them by heart, unless they are never quite the same. Everything is
drawn per image from torch's generator of the images' device; (N, C, H, W) in [-1, 1] -> the same.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.losses import AugmentName


def colour(images: Tensor) -> Tensor:
    """Brightness within +-0.5 of the range [0, 1], saturation 0 to 2, contrast 0.5 to 1.5."""
    images = images + 2 * (_draw(images) - 0.5)
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * (2 * _draw(images))
    level = images.mean((1, 2, 3), keepdim=True)
    return level + (images - level) * (0.5 + _draw(images))


def translation(images: Tensor) -> Tensor:
    """Move by up to an eighth of the sides; what comes in from outside is black."""
    n, _, height, width = images.shape
    by = (height // 8, width // 8)
    padded = functional.pad(images, (by[1], by[1], by[0], by[0]), value=-1.0)
    rows = _start(images, 2 * by[0]) + torch.arange(height, device=images.device)
    columns = _start(images, 2 * by[1]) + torch.arange(width, device=images.device)
    every = torch.arange(n, device=images.device)
    moved = padded.permute(0, 2, 3, 1)[every[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cutout(images: Tensor) -> Tensor:
    """Gray out a rectangle of half the sides, which may lie partly outside."""
    _, _, height, width = images.shape
    outside = _away(images, height)[:, None, :, None] | _away(images, width)[:, None, None, :]
    return images * outside


#: The one table of augmentations (`--diffaugment`).
AUGMENTATIONS: dict[AugmentName, Callable[[Tensor], Tensor]] = {
    "color": colour,
    "translation": translation,
    "cutout": cutout,
}


def augmentation(names: Sequence[AugmentName]) -> Callable[[Tensor], Tensor]:
    """All of `names` in their order."""

    def augment(images: Tensor) -> Tensor:
        for name in names:
            images = AUGMENTATIONS[name](images)
        return images

    return augment


def _draw(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)


def _start(images: Tensor, largest: int) -> Tensor:
    """(N, 1) whole numbers from 0 to `largest`."""
    return torch.randint(0, largest + 1, (len(images), 1), device=images.device)


def _away(images: Tensor, side: int) -> Tensor:
    """(N, side): whether a row or column lies outside of the rectangle, half a side wide."""
    centre = _start(images, side - 1)
    places = torch.arange(side, device=images.device)
    return (places - centre).abs() > side // 4
