"""KID against torch-fidelity's, closed forms and its own spread."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from cyclegan.metrics.distances import compare, kid, progress


def vectors(count: int, features: int = 6, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, features))


@pytest.mark.parametrize(("size", "subsets"), [(50, 20), (40, 7)])
def test_it_is_that_of_torch_fidelity(size: int, subsets: int) -> None:
    real, fake = vectors(50, seed=1), vectors(70, shift=0.3, seed=2)
    theirs = kid_features_to_metric(
        torch.from_numpy(real),
        torch.from_numpy(fake),
        kid_subsets=subsets,
        kid_subset_size=size,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=2020,
        verbose=False,
    )
    ours = kid(real, fake, subsets=subsets, subset_size=size)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-6)


def test_shifted_points_in_closed_form() -> None:
    """One feature, all of a set at one place: the kernels are known numbers."""
    real, fake = np.zeros((4, 1)), np.full((5, 1), 2.0)
    assert kid(real, fake).value == pytest.approx(1 + 125 - 2)
    assert kid(real, fake).error == pytest.approx(0, abs=1e-6)


def test_the_same_distribution_is_zero_within_its_error() -> None:
    values = [kid(vectors(80, seed=n), vectors(60, seed=n + 100)) for n in range(40)]
    mean = np.mean([one.value for one in values])
    assert abs(mean) < 3 * np.mean([one.error for one in values]) / np.sqrt(40)


def test_the_error_is_the_spread_of_repeated_estimates() -> None:
    values = [kid(vectors(80, seed=n), vectors(60, shift=0.5, seed=n + 100)) for n in range(60)]
    spread = np.std([one.value for one in values])
    assert np.mean([one.error for one in values]) == pytest.approx(spread, rel=0.35)


def test_the_error_is_a_jackknife_done_by_hand() -> None:
    real, fake = vectors(7, seed=1), vectors(5, shift=0.4, seed=2)

    def spread(left_out: list[float]) -> float:
        values = np.array(left_out)
        return (len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()

    def whole(one: np.ndarray, other: np.ndarray) -> float:
        """The unbiased estimate of sets of any two sizes, sum by sum."""
        k = [[(a @ b / 6 + 1) ** 3 for b in other] for a in one]
        within = [
            np.mean(
                [(a[i] @ a[j] / 6 + 1) ** 3 for i in range(len(a)) for j in range(len(a)) if i != j]
            )
            for a in (one, other)
        ]
        return within[0] + within[1] - 2 * np.mean(k)

    variance = spread([whole(np.delete(real, n, 0), fake) for n in range(7)])
    variance += spread([whole(real, np.delete(fake, n, 0)) for n in range(5)])
    assert kid(real, fake).error == pytest.approx(variance**0.5, rel=1e-9)


def test_progress_is_the_share_of_the_way_and_its_error_is_seen_in_repeats() -> None:
    random = np.random.default_rng(1)

    def draw() -> tuple[float, float]:
        target = random.normal(0.5, 1, (60, 6))
        before = random.normal(0, 1, (40, 6))
        halfway = before + 0.3 + random.normal(0, 0.1, before.shape)
        found = progress(compare(target, halfway), compare(target, before))
        return found.value, found.error

    values, errors = np.array([draw() for _ in range(100)]).T
    assert 0.4 < values.mean() < 0.95
    assert errors.mean() == pytest.approx(values.std(), rel=0.4)


def test_progress_of_pictures_that_are_like_the_target_already_is_no_large_figure() -> None:
    random = np.random.default_rng(2)
    target, before, after = (random.normal(0, 1, (30, 6)) for _ in range(3))
    for seed in range(20):
        before = np.random.default_rng(seed).normal(0, 1, (30, 6))
        found = progress(compare(target, after), compare(target, before))
        assert abs(found.value - 1) < 5
        assert abs(found.value) < 4 * found.error
