"""How pictures are encoded where that loses something."""

from dataclasses import dataclass
from typing import Literal

Chroma = Literal["444", "422", "420"]


@dataclass(frozen=True)
class Encoding:
    """How formats that lose something lose it; None is as the input did, or hardly."""

    quality: int | None = None
    """of JPEG and WebP, 1 to 100"""
    chroma: Chroma | None = None
    """of JPEG and videos"""
    crf: int | None = None
    """of videos: constant quality, smaller is better"""
