"""Opened exported files: what loaders return, and a file as a network on the CPU."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.classic import Architecture
from cyclegan.errors import UserError, in_one_line
from cyclegan.generators import ResnetSettings
from cyclegan.runtimes.metadata import Metadata

log = logging.getLogger(__name__)

Side = int | None  # None where it is free


def assume(
    inputs: Sequence[Sequence[Side]], outputs: Sequence[Sequence[Side]], path: Path
) -> Metadata:
    """Return metadata for a network from one (N, C, H, W) to one like it; log what is assumed.

    `inputs` and `outputs` are the network's shapes. Raises UserError if they are others.
    """
    channels = _channels(inputs, "input", path), _channels(outputs, "output", path)
    if any(side is not None for side in inputs[0][2:]):
        height, width = inputs[0][2:]
        raise UserError(
            f"{path}: takes images of {width}x{height} pixels only: export it with dynamic height "
            "and width"
        )
    log.warning(
        "%s: no metadata from cyclegan export: assuming images (N, %d, H, W) in [-1, 1], RGB, and "
        "the memory of a ResNet with 64 feature maps",
        path,
        channels[0],
    )
    return Metadata(Architecture(ResnetSettings(), *channels, "instance"))


def _channels(shapes: Sequence[Sequence[Side]], what: str, path: Path) -> int:
    shown = " and ".join(f"({', '.join(_word(side) for side in shape)})" for shape in shapes)
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (1, 3):
        raise UserError(
            f"{path}: its {what} is {shown}: only (N, 3, H, W) or (N, 1, H, W) is supported"
        )
    return shapes[0][1]


def _word(side: Side) -> str:
    return "?" if side is None else str(side)


_Call = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Opened:
    """An opened file, as loaders return it."""

    call: _Call
    """images (N, C, H, W) in [-1, 1] to (N, C', H, W) in [-1, 1], float32 on the CPU"""
    metadata: Metadata


class Session(nn.Module):
    """Network (N, C, H, W) -> (N, C', H, W) in [-1, 1] that runs an opened file, on the CPU.

    Sides are padded to what the file takes by repeating the last row and column, and cut again.
    Raises UserError, naming the file, if its runtime fails.
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
                "networks that keep the image size are supported"
            )
        return converted[:, :, :height, :width]

    def _enough(self, side: int) -> int:
        return max(2, math.ceil(side / self._multiple)) * self._multiple


def first_line(error: BaseException) -> str:
    """Return the first line of a foreign error's message, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return in_one_line((lines or [type(error).__name__])[0])
