"""Colour profiles: what a file's numbers look like on a screen."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Levels = npt.NDArray[Any]


@dataclass(frozen=True)
class Native:
    """Pixels in the colours of their file, beside those of a screen that a generator sees."""

    pixels: Levels
    """(H, W, 3) of uint8"""
    back: Callable[[Image.Image], Image.Image]
    """sRGB -> the file's colours"""

    def changed(self, before: Levels, after: Levels) -> Levels:
        """What was made of the screen's colours, in the file's; the same where nothing changed.

        Going there and back would lose what a screen can't show.
        """
        made = np.asarray(self.back(Image.fromarray(np.ascontiguousarray(after))))
        stays = (before == after).all(axis=2, keepdims=True)
        return np.where(stays, self.pixels, made)


def on_screen(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours for print, or of more than a screen has, as sRGB, by the file's profile.

    The same image where there is none, or a damaged one.
    """
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        made = ImageCms.profileToProfile(image, lab, _SRGB, outputMode="RGB")
        return made or image
    if profile and image.mode not in ("L", "1", "CMYK"):
        image = image.convert("RGB")
    ways = transforms(profile, image.mode)
    return image if ways is None else ways[0](image)


ToScreen = Callable[[Image.Image], Image.Image]


@lru_cache(maxsize=64)  # a folder's files have few
def transforms(profile: bytes | None, mode: str) -> tuple[ToScreen, ToScreen | None] | None:
    """To sRGB and, of RGB, back; None where there is nothing to do, or nothing to do it by."""
    if not profile or mode not in ("RGB", "CMYK"):
        return None
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        there = ImageCms.buildTransform(given, _SRGB, mode, "RGB")
        back = ImageCms.buildTransform(_SRGB, given, "RGB", mode) if mode == "RGB" else None
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode == "RGB" and _changes_little(there):
        return None
    return _applied(there), None if back is None else _applied(back)


def _applied(transform: ImageCms.ImageCmsTransform) -> ToScreen:
    def apply(image: Image.Image) -> Image.Image:
        made = ImageCms.applyTransform(image, transform)
        assert made is not None
        return made

    return apply


def _changes_little(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether the colours are those of sRGB, of which there are many profiles."""
    grid = np.array([*product(range(0, 256, 51), repeat=3)], np.uint8)[None]
    seen = np.asarray(_applied(transform)(Image.fromarray(grid))).astype(int)
    return bool(np.abs(seen - grid).mean() < 1)


_SRGB = ImageCms.createProfile("sRGB")
