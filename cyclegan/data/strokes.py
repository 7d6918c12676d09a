"""A painting that anyone may use: strokes along a flow with whirls, made by rule."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

_SKY = ((30, 52, 110), (52, 92, 160), (96, 140, 190), (150, 180, 205), (20, 36, 80))
_LIGHT = ((236, 196, 72), (246, 224, 140), (214, 150, 48))
_LAND = ((60, 84, 52), (110, 120, 60), (150, 110, 60), (84, 60, 44))
_LAYERS = ((14, 900), (8, 2200), (4, 3500))  # width in pixels, number of strokes
_FRACTION = 3  # bits below a pixel that OpenCV draws by


@dataclass(frozen=True)
class _Flow:
    """Which way strokes go: to the right, and around some centres."""

    centres: Floats
    """(N, 2)"""
    turns: NDArray[np.int64]
    """(N,): 1 or -1"""
    reach: Floats
    """(N,) pixels"""

    def step(self, place: Floats) -> Floats:
        """The direction at a place, of length 1."""
        away = place - self.centres
        pull = 3 * self.turns * np.exp(-(away**2).sum(1) / (2 * self.reach**2)) / self.reach
        way = np.array([1.0, 0.15]) + (pull[:, None] * away[:, ::-1] * (-1, 1)).sum(0)
        return np.asarray(way / (np.hypot(*way) + 1e-6))

    def nearness(self, place: Floats) -> float:
        """Distance to the nearest centre, in its reach."""
        return float((np.hypot(*(place - self.centres).T) / self.reach).min())


def paint(side: int = 512, seed: int = 3, hue: int = 0) -> Pixels:
    """A square picture (side, side, 3): a sky with lights over land. The same seed, the same.

    All its colours are turned by `hue` degrees.
    """
    import cv2

    chance = np.random.default_rng(seed)
    flow = _Flow(
        chance.uniform(0, side, (5, 2)),
        chance.choice([-1, 1], 5),
        chance.uniform(0.15, 0.35, 5) * side,
    )
    canvas = np.full((side, side, 3), (40, 60, 110), np.uint8)
    for width, count in _LAYERS:
        for start in chance.uniform(0, side, (count, 2)):
            colour = _colour(start, side, flow, chance)
            path = np.array([*_path(start, width, flow, int(chance.integers(4, 10)))])
            points = (path * 2**_FRACTION).astype(np.int32)
            cv2.polylines(canvas, [points], False, colour, width, cv2.LINE_AA, _FRACTION)
    return _turned(canvas, hue)


def _turned(canvas: Pixels, hue: int) -> Pixels:
    import cv2

    if not hue:
        return canvas
    turned = cv2.cvtColor(canvas, cv2.COLOR_RGB2HSV_FULL)  # 256 hues
    turned[:, :, 0] += np.uint8(hue * 256 // 360)  # goes round, as hues do
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)


def _path(start: Floats, width: int, flow: _Flow, steps: int) -> Iterator[Floats]:
    place = start
    yield place
    for _ in range(steps):
        place = place + flow.step(place) * width * 0.8
        yield place


def _colour(
    place: Floats, side: int, flow: _Flow, chance: np.random.Generator
) -> tuple[float, float, float]:
    lit = flow.nearness(place) < 0.35 + 0.1 * chance.normal()
    below = place[1] > side * (0.72 + 0.05 * chance.normal())
    colours = _LIGHT if lit else _LAND if below else _SKY
    mixed = np.add(colours[chance.integers(len(colours))], chance.normal(0, 12, 3))
    red, green, blue = mixed.clip(0, 255).tolist()
    return red, green, blue
