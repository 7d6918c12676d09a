"""The rule for the best checkpoint, its share of the time, and giving up."""

from collections.abc import Iterator

import numpy as np
import pytest

from cyclegan.metrics.distances import Kid, Progress
from cyclegan.run import Position
from cyclegan.training import QualitySettings
from cyclegan.training.best import Best, QualityWatch, Score, merit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def score(progress: float, error: float = 0.01, ssim: float = 0.5) -> Score:
    return Score(Kid(0.3, 0.01), Progress(progress, error), ssim)


def watch(found: Iterator[tuple[float, float]], **more: object) -> QualityWatch:
    def measure() -> dict[str, Score]:
        value, error = next(found)
        return {"a_to_b": score(value - 0.1, error), "b_to_a": score(value + 0.1, error)}

    settings = QualitySettings(eval_freq=10, **more)
    return QualityWatch(settings, measure)


def test_the_best_is_not_the_luckiest() -> None:
    """A curve that rises and then falls again, with noise: few are called best, none by luck."""
    random = np.random.default_rng(0)
    truth = np.concatenate([np.linspace(0.1, 0.4, 30), np.linspace(0.4, 0.2, 30)])
    noisy = iter((value + random.normal(0, 0.01), 0.01 * 2**0.5) for value in truth)
    quality = watch(noisy)
    better = [n for n in range(60) if quality.look(Position(images=n)).better]
    assert better[0] == 0
    assert max(better) <= 32, "none while it falls"
    assert truth[better[-1]] > 0.36
    steps = np.diff(truth[better])
    assert (steps > -0.005).all(), "each is really better than the one before"


def test_within_the_error_the_first_stays() -> None:
    quality = watch(iter([(0.3, 0.02), (0.31, 0.02), (0.32, 0.01), (0.35, 0.02)]))
    looks = [quality.look(Position(images=n)) for n in range(4)]
    assert [look.better for look in looks] == [True, False, True, True]
    assert looks[0].values == {
        "progress_a_to_b": pytest.approx(0.2),
        "progress_b_to_a": pytest.approx(0.4),
        "progress_error_a_to_b": 0.02,
        "progress_error_b_to_a": 0.02,
        **{f"ssim_{way}": 0.5 for way in ("a_to_b", "b_to_a")},
        **{f"kid_{way}": 0.3 for way in ("a_to_b", "b_to_a")},
        **{f"kid_error_{way}": 0.01 for way in ("a_to_b", "b_to_a")},
        "quality": pytest.approx(0.3),
        "quality_error": pytest.approx(0.02 / 2**0.5),
        "quality_best": pytest.approx(0.3),
    }
    assert quality.best == Best(pytest.approx(0.35), 3)


def test_what_keeps_no_content_is_not_the_best() -> None:
    assert merit([score(0.9, ssim=0.4), score(0.5, ssim=0.31)], 0.3).value == pytest.approx(0.7)
    smeared = merit([score(0.9, ssim=0.4), score(0.5, ssim=0.2)], 0.3)
    assert smeared.value == pytest.approx(0.7 - 1.0)
    assert merit([score(0.9, ssim=0.1)], 0.0).value == pytest.approx(0.9)


def test_it_takes_three_percent_of_the_time_at_most() -> None:
    clock = Clock()

    def measure() -> dict[str, Score]:
        clock.now += 3.0
        return {"a_to_b": score(0.1)}

    quality = QualityWatch(QualitySettings(eval_freq=10), measure, clock=clock)
    looked = []
    for images in range(0, 1000, 5):
        if quality.due(Position(images=images), Position(images=images + 5)):
            quality.look(Position(images=images + 5))
            looked.append(clock.now)
        clock.now += 5.0
    assert looked[0] == 3.0 + 5.0, "the first at once"
    assert all(3.0 * (n + 1) / now <= 0.031 for n, now in enumerate(looked) if n)
    assert len(looked) > 8


def test_nothing_is_due_before_its_time() -> None:
    quality = watch(iter([(0.1, 0.1)]))
    assert not quality.due(Position(images=0), Position(images=9))
    assert quality.due(Position(images=9), Position(images=11))


def test_it_gives_up_after_so_many_without_a_better_one() -> None:
    quality = watch(
        iter([(0.2, 0.01), (0.2, 0.01), (0.3, 0.01), (0.3, 0.01), (0.3, 0.01)]), patience=2
    )
    given_up = []
    for n in range(5):
        quality.look(Position(images=n))
        given_up.append(quality.gives_up)
    assert given_up == [False, False, False, False, True]


def test_a_resumed_run_knows_its_best() -> None:
    best = Best(0.2, 40, since=1)
    known = Best.of_row(best.row(), unconverted=1.0)
    quality = QualityWatch(QualitySettings(patience=2), lambda: {"a_to_b": score(0.19)}, known)
    assert not quality.look(Position(images=50)).better
    assert quality.gives_up
