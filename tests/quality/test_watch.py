"""The rule for the best checkpoint, its share of the time, and giving up."""

from collections.abc import Iterator

import numpy as np
import pytest

from cyclegan.metrics.kid import Kid
from cyclegan.position import Position
from cyclegan.quality.settings import QualitySettings
from cyclegan.quality.watch import Best, QualityWatch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def watch(kids: Iterator[tuple[float, float]], **more: object) -> QualityWatch:
    def score() -> dict[str, Kid]:
        value, error = next(kids)
        return {"a_to_b": Kid(value - 0.1, error), "b_to_a": Kid(value + 0.1, error)}

    settings = QualitySettings(eval_freq=10, **more)
    return QualityWatch(settings, score)


def test_the_best_is_not_the_luckiest() -> None:
    """A curve that falls and then rises again, with noise: few are called best, none by luck."""
    random = np.random.default_rng(0)
    truth = np.concatenate([np.linspace(0.4, 0.1, 30), np.linspace(0.1, 0.3, 30)])
    noisy = iter((value + random.normal(0, 0.01), 0.01 * 2**0.5) for value in truth)
    quality = watch(noisy)
    better = [n for n in range(60) if quality.look(Position(images=n)).better]
    assert better[0] == 0
    assert max(better) <= 32, "none while it rises"
    assert truth[better[-1]] < 0.14
    steps = np.diff(truth[better])
    assert (steps < 0.005).all(), "each is really better than the one before"


def test_within_the_error_the_first_stays() -> None:
    quality = watch(iter([(0.3, 0.02), (0.29, 0.02), (0.28, 0.01), (0.25, 0.02)]))
    looks = [quality.look(Position(images=n)) for n in range(4)]
    assert [look.better for look in looks] == [True, False, True, True]
    assert looks[0].values == {
        "kid_a_to_b": pytest.approx(0.2),
        "kid_b_to_a": pytest.approx(0.4),
        "kid_error": pytest.approx(0.02 / 2**0.5),
        "kid_best": pytest.approx(0.3),
    }
    assert quality.best == Best(pytest.approx(0.25), 3)


def test_it_takes_three_percent_of_the_time_at_most() -> None:
    clock = Clock()

    def score() -> dict[str, Kid]:
        clock.now += 3.0
        return {"a_to_b": Kid(0.1, 0.01)}

    quality = QualityWatch(QualitySettings(eval_freq=10), score, clock=clock)
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
        iter([(0.3, 0.01), (0.3, 0.01), (0.2, 0.01), (0.2, 0.01), (0.2, 0.01)]), patience=2
    )
    given_up = []
    for n in range(5):
        quality.look(Position(images=n))
        given_up.append(quality.gives_up)
    assert given_up == [False, False, False, False, True]


def test_a_resumed_run_knows_its_best() -> None:
    best = Best(0.2, 40, since=1)
    quality = QualityWatch(
        QualitySettings(patience=2), lambda: {"a_to_b": Kid(0.21, 0.01)}, Best(**best.table())
    )
    assert not quality.look(Position(images=50)).better
    assert quality.gives_up
