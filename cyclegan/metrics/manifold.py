"""Precision and recall: how many fakes could be real, how much of the real is covered."""

from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 3


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1]."""

    precision: float
    """fakes that lie within the manifold of the real"""
    recall: float
    """real images that lie within the manifold of the fakes"""


def precision_recall(real: Tensor, fake: Tensor) -> PrecisionRecall:
    """Of vectors (M, D) and (N, D); at least 4 each.

    Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
    Models": a manifold is a ball around each vector, as wide as to its third nearest neighbour.
    """
    between = torch.cdist(real, fake)
    return PrecisionRecall(
        precision=_covered(between, _radii(real)), recall=_covered(between.T, _radii(fake))
    )


def _radii(vectors: Tensor) -> Tensor:
    """Distance to the third nearest other vector."""
    within = torch.cdist(vectors, vectors)
    within.fill_diagonal_(float("inf"))
    return within.kthvalue(min(NEIGHBOURS, len(vectors) - 1), dim=1).values


def _covered(distances: Tensor, radii: Tensor) -> float:
    """Share of the columns that lie within a ball around any row."""
    return (distances <= radii[:, None]).any(0).float().mean().item()
