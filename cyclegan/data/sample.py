"""A small data set that needs no download: photographs, and paintings of other photographs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan import images
from cyclegan.data.sample_painting import paint
from cyclegan.progress import progress_bar

_Pixels = NDArray[np.uint8]

_SHIPPED = Path(__file__).parent / "photographs"
_PAINTINGS = 24  # for fusion: in palettes all around the circle of hues

#: Under licences that let everyone use, change and pass them on.
CREDITS = {
    "astronaut": "Eileen Collins; NASA, public domain",
    "cat": "Chelsea; Stefan van der Walt, CC0",
    "coffee": "Rachel Michetti, CC0",
    "motorcycle": "Middlebury 2014 stereo data sets, CC0",
    "rocket": "SpaceX, CC0",
    "dandelions": "Clemens Engelhardt, CC0",
    "dahlia": "vultilion, CC BY 2.0",
    "temple": "danielbuechele, CC BY 2.0",
    "brushes": 'Trevor "Freespace", CC BY 4.0',
    "fig": 'Trevor "Freespace", CC BY 4.0',
    "wine": "Jakub Mede, CC BY 4.0",
    "dogs": "Aitzol Berasategi, CC BY 4.0",
    "hillside": "Aitzol Berasategi, CC BY 4.0",
    "mountains": "Aitzol Berasategi, CC BY 4.0",
    "stream": "Aitzol Berasategi, CC BY 4.0",
    "sunset": "Aitzol Berasategi, CC BY 4.0",
}

#: What trains as a photograph is never painted, and nothing here is in both.
PHOTOGRAPHED = ("astronaut", "coffee", "dandelions", "dogs", "motorcycle", "mountains", "stream")
PAINTED = ("brushes", "dahlia", "fig", "hillside", "rocket", "sunset", "wine")
TEST = ("cat", "temple")

#: Copies in other light, so that both domains have nights, blues and skies: factors of lightness
#: and of both colour axes of Lab, and what is added to them.
LIGHTS = {
    "": ((1.0, 1.0, 1.0), (0, 0, 0)),
    "_night": ((0.6, 0.8, 0.8), (2, 6, -38)),
    "_noon": ((1.0, 1.4, 1.4), (4, -2, 2)),
    "_evening": ((0.95, 1.1, 1.1), (4, 10, 24)),
}


@dataclass(frozen=True)
class _Picture:
    """A picture of the set, made on demand."""

    file: str
    of: str
    light: str = ""
    seed: int | None = None
    """of the painting; None: the photograph as it is"""
    hue: int = 0
    """hue rotation in degrees"""

    def write(self, root: Path) -> int:
        """Write the picture unless it exists; return the number of files written."""
        path = root / self.file
        if path.exists():
            return 0
        pixels = _in_light(np.asarray(images.read(_SHIPPED / f"{self.of}.jpg", 3)), self.light)
        if self.seed is not None:
            pixels = _turned(paint(pixels, self.seed), self.hue)
        images.write(Image.fromarray(pixels), path)
        return 1


def make_sample(root: Path) -> int:
    """Write the sample data set to `root`; return the number of files written.

    A: photographs, B: paintings of other photographs, made by rule. `twinsA` and `twinsB` hold the
    ideal conversions of testA and testB; `painting.png` is for models of one painting, `paintings`,
    in other palettes, for fusion. Existing files are kept.
    """
    pictures = [*_pictures()]
    for folder in sorted({(root / picture.file).parent for picture in pictures}):  # the root first
        folder.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar, ThreadPoolExecutor() as pool:
        written: int = sum(
            bar.track(
                pool.map(lambda picture: picture.write(root), pictures),
                total=len(pictures),
                description="painting",
            )
        )
    credits = "\n".join(f"{name}: {credit}" for name, credit in CREDITS.items())
    (root / "SOURCES.txt").write_text(
        f"Photographs, scaled to 512 pixels:\n{credits}\nPaintings: made of them by rule\n"
    )
    return written


def _pictures() -> Iterator[_Picture]:
    for light in LIGHTS:
        for of in PHOTOGRAPHED:
            yield _Picture(f"trainA/{of}{light}.png", of, light)
        for seed, of in enumerate(PAINTED):
            yield _Picture(f"trainB/{of}{light}.png", of, light, seed)
    for seed, of in enumerate(TEST, 100):
        for photographs, paintings in (("testA", "twinsA"), ("twinsB", "testB")):
            yield _Picture(f"{photographs}/{of}.png", of)
            yield _Picture(f"{paintings}/{of}.png", of, seed=seed + 10 * (paintings == "testB"))
    yield _Picture("painting.png", "hillside", seed=200)
    for number in range(_PAINTINGS):
        of, hue = PAINTED[number % len(PAINTED)], number * 360 // _PAINTINGS
        yield _Picture(f"paintings/{number:02}.png", of, seed=300 + number, hue=hue)


def _in_light(photo: _Pixels, light: str) -> _Pixels:
    """Change the light of a photograph (H, W, 3)."""
    if not light:
        return photo
    factors, offsets = LIGHTS[light]
    lab = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    rgb = cv2.cvtColor((lab * factors + offsets).astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray((rgb * 255).clip(0, 255).round(), dtype=np.uint8)


def _turned(painting: _Pixels, hue: int) -> _Pixels:
    if not hue:
        return painting
    turned = cv2.cvtColor(painting, cv2.COLOR_RGB2HSV_FULL)  # 256 hues
    turned[:, :, 0] += np.uint8(hue * 256 // 360)  # goes round, as hues do
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)
