"""Flicker: less of it, as sharp as before; cuts stay cuts."""

import numpy as np
import pytest
from conftest import GOLDEN
from filming import Array, panned, scene, sharpness, warping_error

from cyclegan import Translator
from cyclegan.video.stabilizer import Stabilizer


def stabilized(before: list[Array], after: list[Array]) -> list[Array]:
    steady, memory, made = Stabilizer(), None, []
    for came, was_made in zip(before, after, strict=True):
        shown, memory = steady(memory, came, was_made)
        made.append(shown)
    return made


@pytest.fixture(scope="module")
def translator() -> Translator:
    """The classic's tiny network after some training: it changes colours and texture."""
    return Translator.load(GOLDEN / "resnet9_nopool" / "final_net_G_A.pth")


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_flicker_falls_by_a_third_and_sharpness_stays(name: str, translator: Translator) -> None:
    before, ways = panned(12, name)
    plain = [translator(frame) for frame in before]
    steady = stabilized(before, plain)
    error = warping_error(steady, ways) / warping_error(plain, ways)
    sharp = sharpness(steady) / sharpness(plain)
    assert error <= 0.7
    assert abs(sharp - 1) <= 0.05


def test_after_a_cut_nothing_of_before_is_seen() -> None:
    first, second = scene(4, seed=1), scene(4, seed=2)
    steady, memory = Stabilizer(), None
    for frame in first:
        _, memory = steady(memory, frame, 255 - frame)
    shown, _ = steady(memory, second[0], 255 - second[0])
    assert np.array_equal(shown, 255 - second[0])


def test_16_bits_are_steadied_alike() -> None:
    before, _ = panned(4, "coffee")
    shallow = stabilized(before, [255 - frame for frame in before])
    wide = [frame.astype(np.uint16) * 257 for frame in before]
    deep = stabilized(wide, [65535 - frame for frame in wide])
    assert deep[-1].dtype == np.uint16
    apart = np.abs(deep[-1] / 257.0 - shallow[-1])
    assert apart.mean() < 0.5
    assert np.quantile(apart, 0.999) < 2


def test_a_gray_conversion_stays_gray() -> None:
    frames = scene(3)
    made = stabilized(frames, [frame[:, :, :1] for frame in frames])
    assert made[-1].shape == (48, 64, 1)
