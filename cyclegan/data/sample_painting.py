"""Painterly rendering: a photograph in brush strokes and a painter's colours, by rule."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_Pixels = NDArray[np.uint8]
_Floats = NDArray[np.float32]

#: Van Gogh's paints in sRGB: Prussian blue, ultramarine, cobalt, sky blue, lilac; emerald,
#: viridian, olive; chrome yellow, Naples yellow, ochre, sienna, vermilion, umber, cream.
PALETTE = (
    (22, 34, 66), (38, 54, 120), (50, 90, 165), (120, 165, 205), (152, 152, 178),
    (70, 140, 110), (40, 80, 66), (110, 120, 55),
    (240, 190, 50), (245, 225, 140), (200, 145, 60), (150, 80, 45), (195, 75, 50), (70, 52, 42),
    (240, 232, 205),
)  # fmt: skip

_SIDE = 512  # pixels of a picture in which all widths are given
_BRUSHES = (18, 10, 5)  # widths, the broadest first
_SEGMENTS = 6  # of a stroke at most
_FRACTION = 4  # bits below a pixel that OpenCV draws by
_DOUBT = 0.35  # weight of the whirls where the picture is flat, against edges


def paint(photo: _Pixels, seed: int = 0) -> _Pixels:
    """Return the photograph (H, W, 3) as a painting of its size; the same seed, the same painting.

    Strokes follow the edges, and whirls where the picture is flat: broad strokes everywhere, finer
    ones over them where needed. Colours are pulled towards `PALETTE`; light falls on the relief of
    the paint.
    """
    chance = np.random.default_rng(seed)
    scale = max(photo.shape) / _SIDE
    easel = _Easel(
        _lab(photo), _lab(np.array([PALETTE], np.uint8))[0], _flow(photo, scale, chance), chance
    )
    canvas = _rgb(easel.mixed(_blurred(easel.photo, 12 * scale)))
    canvas = np.ascontiguousarray(_blurred(canvas, 6 * scale))
    relief = np.zeros(photo.shape[:2], np.float32)
    for width in (brush * scale for brush in _BRUSHES):
        wanted = 0.0 if width == _BRUSHES[0] * scale else 14.0
        for stroke in easel.strokes(width, canvas, wanted):
            stroke.draw(canvas, relief)
    return _lit(canvas, _blurred(relief, 0.7 * scale))


@dataclass(frozen=True)
class _Stroke:
    """A brush stroke."""

    points: NDArray[np.int32]
    """(N, 2) columns and rows, in fractions of a pixel"""
    colour: list[int]
    width: int
    height: float
    """of the paint"""

    def draw(self, canvas: _Pixels, relief: _Floats) -> None:
        """Draw the stroke on canvas and relief, rounded on top if it is broad enough."""
        how = (cv2.LINE_AA, _FRACTION)
        cv2.polylines(canvas, [self.points], False, self.colour, self.width, *how)
        cv2.polylines(relief, [self.points], False, self.height, self.width, *how)
        if self.width > 2:
            ridge = self.height + 0.35
            cv2.polylines(relief, [self.points], False, ridge, self.width // 2, *how)


@dataclass(frozen=True)
class _Easel:
    """Source of strokes: photograph, palette and flow."""

    photo: _Floats
    """(H, W, 3), Lab"""
    palette: _Floats
    """(N, 3), Lab"""
    flow: _Floats
    """(H, W, 2) rows and columns of unit length"""
    chance: np.random.Generator

    def strokes(self, width: float, canvas: _Pixels, wanted: float) -> Iterator[_Stroke]:
        """Yield a brush's strokes in random order; a Lab error of `wanted` calls for a stroke."""
        starts = self._starts(width)
        rows, columns = starts.T.astype(int)
        seen = _blurred(self.photo, width / 3)[rows, columns]
        wrong = np.linalg.norm(_blurred(_lab(canvas), width / 2)[rows, columns] - seen, axis=1)
        needed = (wrong >= wanted) | (self.chance.random(len(starts)) > 0.6)
        starts, seen = starts[needed], seen[needed]
        shades = self.chance.normal(0, 2.5, len(starts))[:, None] * (1, 0, 0)
        colours = _rgb((self.mixed(seen) + shades).astype(np.float32)[None])[0]
        points = (self._paths(starts, width)[:, :, ::-1] * 2**_FRACTION).round().astype(np.int32)
        lengths = self.chance.integers(3, _SEGMENTS + 1, len(starts))
        heights = self.chance.uniform(0.4, 1, len(starts))
        thickness = max(1, round(0.75 * width))
        for path, length, colour, height in zip(points, lengths, colours, heights, strict=True):
            yield _Stroke(path[: length + 1], colour.tolist(), thickness, float(height))

    def mixed(self, colours: _Floats) -> _Floats:
        """Pull colours (..., 3) to the nearest paint, at times the second; light mostly stays."""
        flat = colours.reshape(-1, 3)
        away = (flat[:, None] - self.palette) * np.array((0.6, 1, 1))
        nearest = np.linalg.norm(away, axis=2).argsort(axis=1)
        choice = (self.chance.random(len(flat)) > 0.75).astype(int)
        paints = self.palette[nearest[np.arange(len(flat)), choice]]
        mixed = flat + (paints - flat) * np.array((0.25, 0.65, 0.65))
        return np.asarray(mixed.reshape(colours.shape), dtype=np.float32)

    def _starts(self, width: float) -> _Floats:
        """Return places (N, 2) on a jittered grid, in random order."""
        step = 0.62 * width
        height, across = self.photo.shape[:2]
        grid = np.mgrid[0:height:step, 0:across:step].reshape(2, -1).T
        places = grid + self.chance.uniform(-0.5, 0.5, grid.shape) * step
        places = places.clip(0, (height - 1, across - 1))
        return self.chance.permutation(places).astype(np.float32)

    def _paths(self, starts: _Floats, width: float) -> _Floats:
        """Follow the flow from all starts at once: (N, segments + 1, 2) places."""
        limit = np.array(self.flow.shape[:2]) - 1
        paths, last = [starts], np.zeros_like(starts)
        for _ in range(_SEGMENTS):
            rows, columns = paths[-1].clip(0, limit).astype(int).T
            way = self.flow[rows, columns]
            back = (way * last).sum(1, keepdims=True) < 0  # a direction has no sign of its own
            last = np.where(back, -way, way)
            paths.append(paths[-1] + last * 0.7 * width)
        return np.stack(paths, 1)


def _flow(photo: _Pixels, scale: float, chance: np.random.Generator) -> _Floats:
    """Return (H, W, 2): along edges (smoothed structure tensor), elsewhere along whirls."""
    gray = _blurred(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255, 2 * scale)
    down, right = cv2.Sobel(gray, -1, 0, 1), cv2.Sobel(gray, -1, 1, 0)
    products = (down * down, right * right, down * right)
    yy, xx, xy = (_blurred(each, 8 * scale) for each in products)
    edges = np.stack([yy - xx, -2 * xy], -1)  # of twice the angle, as directions have no sign
    spread = np.hypot(edges[..., 0], edges[..., 1])
    sure = spread / (xx + yy + 2e-3)
    whirls = _whirls(gray.shape, chance)
    angle = 2 * np.arctan2(whirls[..., 0], whirls[..., 1])
    doubt = _DOUBT * (1 - sure)
    edges *= (sure / (spread + 1e-8))[..., None]
    across, along = edges[..., 0] + doubt * np.cos(angle), edges[..., 1] + doubt * np.sin(angle)
    half = np.arctan2(along, across) / 2
    return np.stack([np.sin(half), np.cos(half)], -1).astype(np.float32)


def _whirls(shape: tuple[int, ...], chance: np.random.Generator) -> _Floats:
    """Return (H, W, 2): to the right, and around six centres."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    way = np.full((height, width, 2), (0.15, 1), np.float32)
    for _ in range(6):
        down, right = rows - chance.uniform(0, height), columns - chance.uniform(0, width)
        reach = chance.uniform(0.15, 0.35) * max(shape)
        turn = 3 * chance.choice([-1, 1]) / reach * np.exp(-(down**2 + right**2) / (2 * reach**2))
        way += np.stack([turn * right, -turn * down], -1)
    return way


def _lit(canvas: _Pixels, relief: _Floats) -> _Pixels:
    """Light the paint from above and left, changing the canvas by at most a tenth."""
    slope = cv2.Sobel(relief, -1, 1, 0) + cv2.Sobel(relief, -1, 0, 1)
    lit = canvas * (1 + 0.1 * np.tanh(slope))[..., None]
    return np.asarray(lit.clip(0, 255).round(), dtype=np.uint8)


def _blurred(picture: Any, sigma: float) -> Any:
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def _lab(rgb: _Pixels) -> _Floats:
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab, dtype=np.float32)


def _rgb(lab: _Floats) -> _Pixels:
    rgb = cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray((rgb * 255).clip(0, 255).round(), dtype=np.uint8)
