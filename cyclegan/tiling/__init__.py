"""Pictures of any size through a generator, part by part, in bounded memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TileMode = Literal["auto", "off", "exact", "fast", "dense"]


@dataclass(frozen=True)
class Tiling:
    """How pictures are computed that are large."""

    tile: TileMode = "auto"
    scratch: Path | None = None
    """folder for what memory should not hold; None for the system's"""
