"""Kernel inception distance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class Kid:
    """An estimate and its standard error."""

    value: float
    """0 for two samples of the same distribution, then also slightly below"""
    error: float


def kid(
    real: Vectors, fake: Vectors, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> Kid:
    """Squared maximum mean discrepancy with a cubic kernel; (M, D) and (N, D), at least 3 each.

    Binkowski et al. 2018, "Demystifying MMD GANs", section 4.3: the unbiased estimate, averaged
    over random subsets of at most `subset_size` vectors. The error is a jackknife's over single
    images of both sets, so it also tells of sets that are no larger than a subset.
    """
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
    return Kid(float(np.mean(values)), _jackknife(real, fake))


def _kernel(one: Vectors, other: Vectors) -> Vectors:
    kernel: Vectors = (one @ other.T / one.shape[1] + 1) ** 3
    return kernel


def _unbiased(real: Vectors, fake: Vectors, between: Vectors) -> float:
    m, n = between.shape
    within_real = (real.sum() - np.trace(real)) / (m * (m - 1))
    within_fake = (fake.sum() - np.trace(fake)) / (n * (n - 1))
    return float(within_real + within_fake - 2 * between.mean())


def _jackknife(real: Vectors, fake: Vectors) -> float:
    """Standard error: how the estimate moves when single images are left out.

    Efron and Stein 1981, for two samples: the variances add up.
    """
    between = _kernel(real, fake)
    variance = _variance(_kernel(real, real), between.sum(1), len(fake))
    variance += _variance(_kernel(fake, fake), between.sum(0), len(real))
    return float(np.sqrt(variance))


def _variance(within: Vectors, across: Vectors, others: int) -> float:
    """Of leaving out one image: `across` sums its kernel to all of the other set."""
    count = len(within)
    rows = within.sum(1) - np.diagonal(within)
    inner = (rows.sum() - 2 * rows) / ((count - 1) * (count - 2))
    outer = (across.sum() - across) / ((count - 1) * others)
    left_out = inner - 2 * outer
    return float((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
