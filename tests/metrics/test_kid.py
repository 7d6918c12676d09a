"""KID against torch-fidelity's, closed forms and its own spread."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from cyclegan.metrics.kid import kid


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
