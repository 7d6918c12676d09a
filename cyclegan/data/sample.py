"""A small data set that needs no download: photographs and colour pencil drawings."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan import images
from cyclegan.data.strokes import paint
from cyclegan.packages import need
from cyclegan.progress import tracked

SIDE = 72  # of the crops, in pixels
LONG_SIDE = 320  # photographs are scaled to this: the drawing's strokes have a width in pixels
PAINTINGS = 24  # in colours all around the circle
STEP = {"trainA": 16, "trainB": 16, "testA": 24, "testB": 24}  # between neighbouring crops

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Photograph:
    """A photograph that a package ships, under a licence that lets everyone use it."""

    package: str
    file: str
    source: str


PHOTOGRAPHS = (
    Photograph("skimage", "data/astronaut.png", "Eileen Collins; NASA, public domain"),
    Photograph("skimage", "data/chelsea.png", "Chelsea the cat; Stefan van der Walt, CC0"),
    Photograph("skimage", "data/coffee.png", "Cup of coffee; Rachel Michetti, CC0"),
    Photograph("skimage", "data/motorcycle_left.png", "Motorcycle; Middlebury 2014 stereo, CC0"),
    Photograph("sklearn", "datasets/images/flower.jpg", "Dahlia; vultilion, CC BY 2.0"),
    Photograph("sklearn", "datasets/images/china.jpg", "Temple; danielbuechele, CC BY 2.0"),
)


def make_sample(root: Path) -> int:
    """Write the sample data set to `root`; return the number of files written.

    A: crops of photographs; B: other crops of them, drawn with coloured pencils. The four folders
    come from disjoint regions. `twinsA` holds the drawn twins of testA, to measure against;
    `painting.png` is a picture for models of one painting, `paintings` are others for fusion.
    Files that are there already are left alone. Raises UserError where the photographs are missing.
    """
    written = 0
    for number, photograph in enumerate(tracked(PHOTOGRAPHS, "drawing", "photographs")):
        photo = _load(photograph)
        drawing = _draw(photo)
        height, width = photo.shape[:2]
        for folder, area in _regions(width, height).items():
            pictures = {folder: drawing if folder.endswith("B") else photo}
            if folder == "testA":
                pictures["twinsA"] = drawing
            for left, top in _corners(area, STEP[folder]):
                name = f"{number}_{Path(photograph.file).stem}_{left:03}_{top:03}.png"
                for where, picture in pictures.items():
                    crop = picture[top : top + SIDE, left : left + SIDE]
                    written += _write_new(crop, root / where / name)
    written += _paint_new(root / "painting.png")
    for number in tracked(range(PAINTINGS), "painting", "pictures"):
        path, side = root / "paintings" / f"{number:02}.png", 256 + 128 * (number % 3)
        written += _paint_new(path, side, seed=10 + number, hue=number * 360 // PAINTINGS)
    credits = "\n".join(f"{photo.file}: {photo.source}" for photo in PHOTOGRAPHS)
    (root / "SOURCES.txt").write_text(
        f"Photographs as shipped by scikit-image and scikit-learn:\n{credits}\n"
        "painting.png and paintings: strokes drawn by rule; no picture was taken for them\n"
    )
    return written


def _load(photograph: Photograph) -> Pixels:
    need("the sample's photographs", "sample", photograph.package)
    spec = find_spec(photograph.package)
    assert spec is not None
    assert spec.origin is not None
    image = images.read(Path(spec.origin).parent / photograph.file, 3)
    scale = LONG_SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def _draw(photo: Pixels) -> Pixels:
    """Colour pencil drawing (H, W, 3) by OpenCV (Gastal and Oliveira 2011)."""
    import cv2

    _, drawing = cv2.pencilSketch(
        np.ascontiguousarray(photo[:, :, ::-1]), sigma_s=60, sigma_r=0.4, shade_factor=0.03
    )
    return np.asarray(drawing, dtype=np.uint8)[:, :, ::-1]


def _regions(width: int, height: int) -> dict[str, tuple[int, int, int, int]]:
    """Left, top, right, bottom of each folder's part of a photograph; no two overlap."""
    middle, low = width // 2, height * 13 // 20
    return {
        "trainA": (0, 0, middle, low),
        "trainB": (middle, 0, width, low),
        "testA": (0, low, middle, height),
        "testB": (middle, low, width, height),
    }


def _corners(area: tuple[int, int, int, int], step: int) -> Iterator[tuple[int, int]]:
    left, top, right, bottom = area
    for x in range(left, right - SIDE + 1, step):
        for y in range(top, bottom - SIDE + 1, step):
            yield x, y


def _paint_new(path: Path, side: int = 512, seed: int = 3, hue: int = 0) -> int:
    return 0 if path.exists() else _write_new(paint(side, seed, hue), path)


def _write_new(crop: Pixels, path: Path) -> int:
    if path.exists():
        return 0
    images.write(Image.fromarray(np.ascontiguousarray(crop)), path)
    return 1
