"""Settings of tiling: pictures of any size through a generator, part by part, in bounded memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TileMode = Literal["auto", "off", "exact", "fast", "dense"]


@dataclass(frozen=True)
class Tiling:
    """Tiling mode of large pictures, and the folder for its scratch files."""

    tile: TileMode = "auto"
    scratch: Path | None = None
    """scratch folder; None for the system's"""
