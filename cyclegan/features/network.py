"""Feature networks: images in, vectors and maps out; and their files of weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.checkpoint import load_plain
from cyclegan.device import ran_out_of_memory, sent, whole_float32
from cyclegan.errors import UserError
from cyclegan.images import as_colours

#: Images that a processor looks at in one go: maps of more are so large that the system takes them
#: back after each layer, and two thirds of the time go into giving them out anew.
AT_ONCE = 4
_CPU = torch.device("cpu")


class NoWeightsError(UserError):
    """Error for weights that can't be had here; the message says how to give them."""


@dataclass(frozen=True)
class Seen:
    """Vectors and maps of a batch of images."""

    vectors: Tensor
    """(N, D) float32, one for each image, on the CPU"""
    maps: tuple[Tensor, ...] = ()
    """(N, C, h, w), from fine to coarse, on the network's device; none if the network only gives
    vectors"""


@dataclass(frozen=True)
class FeatureNetwork:
    """A frozen network that was trained on another task."""

    name: str
    side: int
    """input side in pixels"""
    look: Callable[[Tensor], Seen]
    """takes (N, 3, side, side) in [-1, 1]"""
    origin: str = ""
    """the weights file, if given"""
    has_maps: bool = False
    move: Callable[[torch.device], object] = lambda device: None
    """moves the weights to a device"""
    device: torch.device = _CPU

    def on(self, device: torch.device) -> "FeatureNetwork":
        """Return the network on a GPU; it stays where it is for devices that lack operations."""
        if device.type != "cuda":
            return self
        self.move(device)
        return replace(self, device=device)

    @property
    def resize(self) -> str:
        """Description of how images are resized, for whoever compares figures."""
        return f"bicubic, antialiased, to {self.side} px"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Seen:
        """Return vectors and maps of images (N, C, H, W) in [-1, 1] of any size.

        Three channels of many are used.
        """
        together = AT_ONCE if self.device.type == "cpu" else max(1, len(images))
        return _joined([self._seen(part) for part in torch.split(images, together)])

    def _seen(self, images: Tensor) -> Seen:
        """Compute in halves where memory is short: a training beside may have most of it."""
        try:
            with whole_float32(self.device):
                seen = self.look(self._resized(sent(images, self.device)))
            return Seen(seen.vectors.cpu(), seen.maps)
        except (RuntimeError, MemoryError) as error:
            if len(images) < 2 or not ran_out_of_memory(error):
                raise
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return _joined([self._seen(half) for half in images.tensor_split(2)])

    def _resized(self, images: Tensor) -> Tensor:
        colour = as_colours(images).expand(-1, 3, -1, -1)
        size = (self.side, self.side)
        if colour.shape[2:] != size:
            colour = functional.interpolate(
                colour, size, mode="bicubic", antialias=True, align_corners=False
            ).clamp(-1, 1)
        return colour


def _joined(parts: Sequence[Seen]) -> Seen:
    maps = zip(*(part.maps for part in parts), strict=True)
    return Seen(torch.cat([part.vectors for part in parts]), tuple(map(torch.cat, maps)))


def read_weights(path: Path, *, mapped: bool = False) -> Any:
    """Load a file of weights. Raises UserError, as `checkpoint.load_plain` does."""
    if not path.exists():
        raise UserError(
            f"--feature_weights {path}: no such file: give its new location with the flag"
        )
    return load_plain(path, mapped=mapped)
