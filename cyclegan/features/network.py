"""What every feature network is: images in, vectors and maps out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.checkpoint import load_plain
from cyclegan.errors import UserError
from cyclegan.images import as_colours


class NoWeightsError(UserError):
    """The weights can't be had here; the message says how to give them."""


@dataclass(frozen=True)
class Seen:
    """What a network sees in a batch of images."""

    vectors: Tensor
    """(N, D) float32, one for each image"""
    maps: tuple[Tensor, ...] = ()
    """(N, C, h, w), from fine to coarse; none where the network gives only vectors"""


@dataclass(frozen=True)
class FeatureNetwork:
    """A frozen network that was trained on something else."""

    name: str
    side: int
    """pixels a side of what it looks at"""
    look: Callable[[Tensor], Seen]
    """takes (N, 3, side, side) in [-1, 1]"""
    origin: str = ""
    """the file of its weights, where it was given"""
    has_maps: bool = False

    @property
    def resize(self) -> str:
        """How images reach it, for whoever compares figures."""
        return f"bicubic, antialiased, to {self.side} px"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Seen:
        """Look at images (N, C, H, W) in [-1, 1] of any size; at three of many channels."""
        colour = as_colours(images).expand(-1, 3, -1, -1)
        size = (self.side, self.side)
        if colour.shape[2:] != size:
            colour = functional.interpolate(
                colour, size, mode="bicubic", antialias=True, align_corners=False
            ).clamp(-1, 1)
        return self.look(colour)


def read_weights(path: Path, *, mapped: bool = False) -> Any:
    """Return what a file of weights holds. Raises UserError, as `checkpoint.load_plain`."""
    if not path.exists():
        raise UserError(f"--feature_weights {path}: no such file: the flag says where it is now")
    return load_plain(path, mapped=mapped)
