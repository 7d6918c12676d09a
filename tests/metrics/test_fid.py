"""FID against Gaussians in closed form."""

import numpy as np
import pytest
import scipy.linalg

from cyclegan.metrics.distances import fid, frechet


def whitened(count: int, features: int, seed: int) -> np.ndarray:
    """Vectors whose mean is exactly 0 and whose covariance is exactly the identity."""
    raw = np.random.default_rng(seed).normal(size=(count, features))
    raw -= raw.mean(0)
    u, _, vt = np.linalg.svd(raw, full_matrices=False)
    return u @ vt * np.sqrt(count - 1)


def test_known_gaussians() -> None:
    """|m|^2 + sum (s1 - s2)^2 where both covariances are diagonal."""
    s1, s2 = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.25])
    mean = np.array([0.5, -1.0, 2.0])
    real, fake = whitened(200, 3, 0) * s1, whitened(300, 3, 1) * s2 + mean
    assert frechet(real, fake) == pytest.approx((mean**2).sum() + ((s1 - s2) ** 2).sum(), abs=1e-9)


def test_it_is_the_formula_with_the_root_of_the_covariances() -> None:
    random = np.random.default_rng(0)
    real = random.normal(size=(60, 8)) @ random.normal(size=(8, 8))
    fake = random.normal(size=(50, 8)) @ random.normal(size=(8, 8)) + 1
    one, other = np.cov(real.T), np.cov(fake.T)
    root = scipy.linalg.sqrtm(one @ other).real
    expected = ((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(one + other - 2 * root)
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-7)


def test_zero_against_itself_even_with_fewer_vectors_than_features() -> None:
    real = np.random.default_rng(0).normal(size=(20, 64))
    assert frechet(real, real.copy()) == pytest.approx(0, abs=1e-9)


def test_the_extrapolation_takes_the_bias_of_few_images_away() -> None:
    random = np.random.default_rng(0)
    of_same = fid(random.normal(size=(400, 32)), random.normal(size=(400, 32)))
    assert of_same.value > 1
    assert abs(of_same.extrapolated) < 0.25 * of_same.value
    assert not of_same.enough
