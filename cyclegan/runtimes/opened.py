"""An exported file, opened."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.errors import UserError, in_one_line
from cyclegan.runtimes.metadata import Metadata

_Call = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Opened:
    """What a loader returns."""

    call: _Call
    """images (N, C, H, W) in [-1, 1] to (N, C', H, W) in [-1, 1], float32 on the CPU"""
    metadata: Metadata


class Session(nn.Module):
    """An opened file as a network (N, C, H, W) -> (N, C', H, W) in [-1, 1], on the CPU.

    Sides are lengthened to what the file takes, by the last row and column again, and cut. Raises
    UserError, naming the file, where its runtime fails.
    """

    def __init__(self, opened: Opened, path: Path) -> None:
        super().__init__()
        self._call = opened.call
        self._multiple = opened.metadata.multiple
        self._channels = opened.metadata.architecture.output_nc
        self._path = path

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        tall, wide = (self._enough(side) for side in (height, width))
        whole = functional.pad(
            images.contiguous(), (0, wide - width, 0, tall - height), mode="replicate"
        )
        try:
            converted = self._call(whole)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # each runtime has its own
            raise UserError(
                f"{self._path}: could not convert {wide}x{tall} pixels ({first_line(error)})"
            ) from error
        made = tuple(converted.shape)
        if made != (len(images), self._channels, tall, wide):
            raise UserError(
                f"{self._path}: makes {'x'.join(map(str, made))} of {wide}x{tall} pixels: only "
                "networks whose images stay as large as they are can be converted with"
            )
        return converted[:, :, :height, :width]

    def _enough(self, side: int) -> int:
        return max(2, math.ceil(side / self._multiple)) * self._multiple


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return in_one_line((lines or [type(error).__name__])[0])
