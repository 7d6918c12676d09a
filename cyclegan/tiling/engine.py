"""What a way of tiling works with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cyclegan.execution.execution import Execution

#: Hears which share of a picture is done, from 0 to 1.
Tell = Callable[[float], object]


def silent(share: float) -> None:
    """Where nobody looks on."""


@dataclass(frozen=True)
class TileEngine:
    """A trained network, laid out to be computed, and where it is computed."""

    network: nn.Module
    call: Callable[[Tensor], Tensor]
    """the network, computed as `execution` says; (N, C, H, W) -> (N, C', H, W)"""
    execution: Execution
    device: torch.device
    reach: int | None
    """pixels to each side that a pixel is made of; None where that is the whole picture"""
    widest: int
    """channels of the maps at full size"""
    scratch: Path
    """folder for what memory should not hold"""


@dataclass(frozen=True)
class Block:
    """A finished part of a picture."""

    top: int
    left: int
    pixels: Tensor
    """(C, h, w) in [-1, 1], on the CPU"""
