"""Fréchet inception distance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Vectors = NDArray[np.float64]

#: Images below which the estimate is biased so much that figures can't be compared.
ENOUGH = 2048
_SIZES = 10  # of samples that the extrapolation is drawn from


@dataclass(frozen=True)
class Fid:
    """The usual estimate, and what it would be for endlessly many images."""

    value: float
    extrapolated: float
    enough: bool
    """whether both sets hold as many images as published figures are made of"""


def fid(real: _Vectors, fake: _Vectors, *, seed: int = 2020) -> Fid:
    """Distance of two Gaussians fitted to (M, D) and (N, D), at least 2 each.

    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule". The estimate falls with the
    number of images, nearly as 1/N: Chong and Forsyth 2020, "Effectively Unbiased FID", draw a line
    through it for samples of several sizes and read it off at 0.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    enough = min(len(real), len(fake)) >= ENOUGH
    return Fid(frechet(real, fake), _extrapolated(real, fake, seed), enough)


def frechet(real: _Vectors, fake: _Vectors) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), through the vectors and not the covariances.

    The trace of the root is the sum of the singular values of the product of both centred sets:
    far quicker than a root of D x D where there are fewer vectors than features.
    """
    one, other = _centred(real), _centred(fake)
    means = ((real.mean(0) - fake.mean(0)) ** 2).sum()
    root = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return float(means + (one**2).sum() + (other**2).sum() - 2 * root)


def _centred(vectors: _Vectors) -> _Vectors:
    """Such that its transpose times itself is the covariance."""
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
