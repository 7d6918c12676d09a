"""Pixels get better, the best is kept, and whoever watches can stop it."""

import math

import cv2
import numpy as np
import pytest
import torch
from conftest import smooth_image
from torch import Tensor

from cyclegan.losses import PerceptualSettings
from cyclegan.losses.perceptual import Perceptual
from cyclegan.metrics.collapse import luminance
from cyclegan.stylize.optimise import (
    METHODS,
    BestPicture,
    Pyramid,
    StylizeProblem,
    Watch,
    optimise,
    resized,
)

START = torch.zeros(1, 3, 4, 4)
ALONE = Watch(lambda best, share: None, lambda: False)


def towards(value: float) -> object:
    return lambda picture: {"distance": (picture - value).square().mean()}


@pytest.mark.parametrize("method", METHODS)
def test_it_finds_the_minimum(method: str) -> None:
    best = optimise(START, towards(0.5), method, 100, ALONE, lr=0.05)
    assert (best.picture - 0.5).abs().max() < 0.02
    assert best.total == pytest.approx(0, abs=1e-3)
    assert not best.picture.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_pictures_stay_in_the_range_of_files_and_so_do_losses(method: str) -> None:
    best = optimise(START, towards(3.0), method, 60, ALONE, lr=0.05)
    assert best.picture.max().item() == pytest.approx(1.0)
    assert best.total == pytest.approx((3.0 - 1.0) ** 2, rel=1e-3)


def test_the_best_is_kept_where_it_gets_worse() -> None:
    """Adam with so large a rate jumps over the minimum."""
    seen = []

    def objective(picture: Tensor) -> dict[str, Tensor]:
        loss = (picture - 0.1).square().mean()
        seen.append((loss.item(), picture.detach().clone()))
        return {"distance": loss}

    best = optimise(START, objective, "adam", 2, ALONE, lr=0.3)
    assert len(seen) == 2
    assert seen[-1][0] > min(loss for loss, _ in seen)
    assert best.total == min(loss for loss, _ in seen)
    assert torch.equal(best.picture, min(seen, key=lambda one: one[0])[1])


@pytest.mark.parametrize("method", METHODS)
def test_it_stops_when_it_is_told_to(method: str) -> None:
    told: list[BestPicture] = []
    watch = Watch(lambda best, share: told.append(best), lambda: len(told) >= 3)
    best = optimise(START, towards(0.5), method, 100, watch, lr=0.01)
    assert len(told) == 3
    assert best is told[-1]


def test_it_stops_where_nothing_gets_better() -> None:
    taken = []
    watch = Watch(lambda best, share: taken.append(share), lambda: False)
    best = optimise(START, towards(0.0), "lbfgs", 10_000, watch, lr=1.0)
    assert len(taken) < 100
    assert best.total == 0


def test_no_numbers_end_it_with_what_was_good() -> None:
    values = iter([1.0, 0.5, math.nan, 0.1])

    def objective(picture: Tensor) -> dict[str, Tensor]:
        return {"loss": picture.sum() * 0 + next(values)}

    assert optimise(START, objective, "adam", 10, ALONE, lr=0.1).total == 0.5


def test_what_was_beyond_the_range_comes_back() -> None:
    """Cut pixels have no gradient: without one of its own, what is too much would stay so."""
    taken = []

    def objective(picture: Tensor) -> dict[str, Tensor]:
        taken.append(picture)
        return {"distance": (picture - (3.0 if len(taken) < 12 else 0.0)).square().mean()}

    best = optimise(START, objective, "adam", 120, ALONE, lr=0.1)
    assert best.picture.abs().max() < 0.05


def test_levels_add_nothing_at_first_and_coarse_ones_add_far_and_wide() -> None:
    start = torch.rand(1, 3, 40, 33)
    levels = Pyramid.of(start)
    assert [level.shape[2:] for level in levels.added] == [(40, 33), (20, 17), (10, 9)]
    assert torch.equal(levels.whole(), start)
    reached = []
    for level in levels.added:
        with torch.no_grad():
            level[0, 0, 5, 5] = 1  # of light alone
            changed = levels.whole() - start
            level.zero_()
        assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)
        reached.append((changed[0, 0].abs() > 1e-6).sum().item())
    assert reached[0] == 1
    assert reached == sorted(reached)


def strokes(side: int, seed: int = 0) -> Tensor:
    """A painting (1, 3, side, side): short strokes 3 pixels wide, in all directions and colours."""
    chance = np.random.default_rng(seed)
    canvas = np.zeros((side, side, 3), np.uint8)
    for place in chance.uniform(0, side, (400, 2)):
        ends = (place.astype(int), (place + chance.normal(0, 4, 2)).astype(int))
        cv2.line(
            canvas, *(one.tolist() for one in ends), chance.integers(0, 256, 3).tolist(), 3, 16
        )
    return as_images(canvas)


def as_images(picture: np.ndarray) -> Tensor:
    return (torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1).contiguous()


def fine_energy(images: Tensor) -> tuple[float, float]:
    """Of luminance, and of red less luminance: mean square of what is above half of Nyquist's."""
    light = luminance(images)
    fine = []
    for plane in (light, images[:, 0] - light):
        power = torch.fft.fft2(plane - plane.mean()).abs().square() / plane.numel() ** 2
        down, across = (torch.fft.fftfreq(side) for side in plane.shape[1:])
        fine.append(power[:, torch.hypot(down[:, None], across[None]) > 0.25].sum().item())
    return fine[0], fine[1]


def test_a_network_with_strides_leaves_no_pixel_noise() -> None:
    """Neither more than both pictures have, nor bought by blur: the style is there."""
    seen = Perceptual.build(
        PerceptualSettings(loss_features="efficientnet-lite0"), torch.device("cpu")
    )
    photo, painting = as_images(np.array(smooth_image(1, (96, 72)))), strokes(96)
    best = StylizeProblem(
        seen, {"content": 1.0, "style": 10.0, "total_variation": 10.0}, scales=1, steps=40
    )(photo, painting, ALONE)
    for made, *theirs in zip(
        *(fine_energy(one) for one in (best.picture, photo, painting)), strict=True
    ):
        assert made < 1.2 * max(theirs)
    style = seen.style_of(painting)
    left = seen.style(seen.maps(best.picture), style) / seen.style(seen.maps(photo), style)
    assert left < 0.025


WEIGHTS = {"content": 1.0, "style": 10.0}


@pytest.fixture
def seen() -> Perceptual:
    return Perceptual.build(PerceptualSettings(loss_features="plain"), torch.device("cpu"))


def test_it_is_painted_from_coarse_to_fine(seen: Perceptual) -> None:
    photo, painting = torch.rand(1, 3, 130, 200), torch.rand(1, 3, 140, 128)
    assert StylizeProblem(seen, WEIGHTS, scales=3).shares(photo, painting) == [0.5, 1]
    assert StylizeProblem(seen, WEIGHTS, scales=1).shares(photo, painting) == [1]
    small = torch.rand(1, 3, 40, 40)
    assert StylizeProblem(seen, WEIGHTS, scales=3).shares(photo, small) == [1]
    assert StylizeProblem(seen, WEIGHTS, steps=8).steps_of(photo, painting) == 8 * 1.25


def test_every_size_is_told_of_and_the_last_is_the_photograph_s(seen: Perceptual) -> None:
    torch.manual_seed(0)
    photo, painting = torch.rand(1, 3, 128, 131) - 0.5, torch.rand(1, 3, 128, 128)
    told: list[tuple[torch.Size, float]] = []
    watch = Watch(lambda best, share: told.append((best.picture.shape, share)), lambda: False)
    paint = StylizeProblem(seen, WEIGHTS, scales=2, steps=3)
    best = paint(photo, painting, watch)
    assert best.picture.shape == photo.shape
    assert {shape[2:] for shape, _ in told} == {(64, 66), (128, 131)}
    assert sum(share for _, share in told) == paint.steps_of(photo, painting)


def test_stopped_at_a_coarse_size_it_ends_there(seen: Perceptual) -> None:
    photo = torch.rand(1, 3, 128, 128)
    told: list[BestPicture] = []
    watch = Watch(lambda best, share: told.append(best), lambda: len(told) >= 2)
    best = StylizeProblem(seen, WEIGHTS, scales=2, steps=50)(photo, photo.flip(3), watch)
    assert best.picture.shape[2:] == (64, 64)
    assert len(told) == 2


def test_noise_is_the_seed_s(seen: Perceptual) -> None:
    photo, painting = torch.zeros(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    made = [
        StylizeProblem(seen, WEIGHTS, steps=1, start="noise", seed=seed)(
            photo, painting, ALONE
        ).picture
        for seed in (1, 1, 2)
    ]
    assert torch.equal(made[0], made[1])
    assert (made[0] - made[2]).abs().mean() > 0.3
    assert made[0].std() > 0.4


def test_pictures_are_scaled_within_their_range() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 9, 7).round() * 2 - 1
    assert resized(picture, 0.5).shape == (1, 3, 4, 4)
    assert resized(picture, 2.0).abs().max() <= 1
    assert resized(picture, 1.0) is picture
