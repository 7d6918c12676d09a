"""Distances between two sets of feature vectors: KID, progress by KID, and FID."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class Kid:
    """A KID estimate and its standard error."""

    value: float
    """0 for two samples of the same distribution, then also slightly below"""
    error: float


@dataclass(frozen=True)
class Comparison:
    """KID of two samples, and the estimates with each of their images left out."""

    kid: Kid
    without_real: _Vectors
    """(M,)"""
    without_fake: _Vectors
    """(N,)"""


@dataclass(frozen=True)
class Progress:
    """Share of the way to the target that pictures have come, and its standard error."""

    value: float
    """0: no better than the input, 1: indistinguishable from the target, below 0: worse"""
    error: float


def kid(
    real: _Vectors, fake: _Vectors, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> Kid:
    """Return the KID: squared maximum mean discrepancy with a cubic kernel.

    Takes (M, D) and (N, D), at least 3 each. Binkowski et al. 2018, "Demystifying MMD GANs",
    section 4.3: the unbiased estimate, averaged over random subsets of at most `subset_size`
    vectors. The error is a jackknife over single images of both sets, so it also holds for sets
    that are no larger than a subset.
    """
    return compare(real, fake, subsets=subsets, subset_size=subset_size, seed=seed).kid


def compare(
    real: _Vectors, fake: _Vectors, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> Comparison:
    """Return the KID of (M, D) and (N, D) like `kid`, and the estimates without single images."""
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    size = min(subset_size, len(real), len(fake))
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        one = real[random.choice(len(real), size, replace=False)]
        other = fake[random.choice(len(fake), size, replace=False)]
        values.append(_unbiased(_kernel(one, one), _kernel(other, other), _kernel(one, other)))
        if size == len(real) == len(fake):
            break  # every subset is the whole
    within_real, within_fake, between = (
        _kernel(real, real),
        _kernel(fake, fake),
        _kernel(real, fake),
    )
    without_real = _left_out(within_real, between.sum(1), len(fake)) + _within(within_fake)
    without_fake = _left_out(within_fake, between.sum(0), len(real)) + _within(within_real)
    # Efron and Stein 1981, for two samples: the variances add up.
    error = float(np.sqrt(_variance(without_real) + _variance(without_fake)))
    return Comparison(Kid(float(np.mean(values)), error), without_real, without_fake)


def progress(converted: Comparison, unconverted: Comparison) -> Progress:
    """Return 1 - KID(converted) / KID(unconverted), of the same pictures to the same target.

    The error is a jackknife that leaves out each picture before and after at once, as both move
    together. A KID of the unconverted below its own error counts as large as that: pictures that
    are like the target already leave no way to go, and a ratio to nearly nothing says nothing.
    """
    least = max(unconverted.kid.error, _TINY)

    def share(after: _Vectors | float, before: _Vectors | float) -> _Vectors:
        return np.asarray(1 - after / np.maximum(before, least))

    variance = _variance(share(converted.without_real, unconverted.without_real))
    variance += _variance(share(converted.without_fake, unconverted.without_fake))
    value = share(converted.kid.value, unconverted.kid.value)
    return Progress(float(value), float(np.sqrt(variance)))


_TINY = 1e-9


def _kernel(one: _Vectors, other: _Vectors) -> _Vectors:
    kernel: _Vectors = (one @ other.T / one.shape[1] + 1) ** 3
    return kernel


def _unbiased(real: _Vectors, fake: _Vectors, between: _Vectors) -> float:
    return float(_within(real) + _within(fake) - 2 * between.mean())


def _within(kernel: _Vectors) -> float:
    """Return the mean over pairs of different images."""
    count = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))


def _left_out(within: _Vectors, across: _Vectors, others: int) -> _Vectors:
    """Return the part of the estimate that changes without each image, (N,).

    `across` holds the sum of an image's kernel over the other set.
    """
    count = len(within)
    rows = within.sum(1) - np.diagonal(within)
    inner = (rows.sum() - 2 * rows) / ((count - 1) * (count - 2))
    outer = (across.sum() - across) / ((count - 1) * others)
    left_out: _Vectors = inner - 2 * outer
    return left_out


def _variance(left_out: _Vectors) -> float:
    """Return the jackknife variance of the estimates without each image."""
    count = len(left_out)
    return float((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())


#: Images below which the estimate is biased so much that figures can't be compared.
ENOUGH = 2048
_SIZES = 10  # of samples that the extrapolation is drawn from


@dataclass(frozen=True)
class Fid:
    """The usual FID, and its extrapolation to endlessly many images."""

    value: float
    extrapolated: float
    enough: bool
    """whether both sets are as large as in published figures"""


def fid(real: _Vectors, fake: _Vectors, *, seed: int = 2020) -> Fid:
    """Return the distance of two Gaussians fitted to (M, D) and (N, D), at least 2 each.

    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule". The estimate falls with the
    number of images, nearly as 1/N: Chong and Forsyth 2020, "Effectively Unbiased FID", fit a line
    to samples of several sizes and read it off at 0.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    enough = min(len(real), len(fake)) >= ENOUGH
    return Fid(frechet(real, fake), _extrapolated(real, fake, seed), enough)


def frechet(real: _Vectors, fake: _Vectors) -> float:
    """Return |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) from vectors, without covariances.

    The trace of the root is the sum of the singular values of the product of both centred sets:
    much faster than a root of D x D where there are fewer vectors than features.
    """
    one, other = _centred(real), _centred(fake)
    means = ((real.mean(0) - fake.mean(0)) ** 2).sum()
    root = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return float(means + (one**2).sum() + (other**2).sum() - 2 * root)


def _centred(vectors: _Vectors) -> _Vectors:
    """Return vectors whose transpose times themselves is the covariance."""
    centred: _Vectors = (vectors - vectors.mean(0)) / np.sqrt(len(vectors) - 1)
    return centred


def _extrapolated(real: _Vectors, fake: _Vectors, seed: int) -> float:
    random = np.random.default_rng(seed)
    largest = min(len(real), len(fake))
    sizes = np.unique(np.linspace(max(2, largest // 2), largest, _SIZES).astype(int))
    if len(sizes) < 2:
        return frechet(real, fake)
    values = [
        frechet(
            real[random.choice(len(real), size, replace=False)],
            fake[random.choice(len(fake), size, replace=False)],
        )
        for size in sizes
    ]
    return float(np.polynomial.Polynomial.fit(1 / sizes, values, 1)(0.0))
