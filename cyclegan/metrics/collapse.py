"""Signs that a generator has collapsed, in one number each; and the luminance of images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan.logged import Logged

NEIGHBOURS = 3


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall, shares in [0, 1]."""

    precision: float
    """fakes that lie within the manifold of the real"""
    recall: float
    """real images that lie within the manifold of the fakes"""


def precision_recall(real: Tensor, fake: Tensor) -> PrecisionRecall:
    """Return precision and recall of vectors (M, D) and (N, D), at least 4 each.

    Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
    Models": a manifold is a ball around each vector, as wide as to its third nearest neighbour.
    """
    between = torch.cdist(real, fake)
    return PrecisionRecall(
        precision=_covered(between, _radii(real)), recall=_covered(between.T, _radii(fake))
    )


def _radii(vectors: Tensor) -> Tensor:
    """Return the distance of each vector to its third nearest neighbour."""
    within = torch.cdist(vectors, vectors)
    within.fill_diagonal_(float("inf"))
    return within.kthvalue(min(NEIGHBOURS, len(vectors) - 1), dim=1).values


def _covered(distances: Tensor, radii: Tensor) -> float:
    """Return the share of the columns that lie within a ball around any row."""
    return (distances <= radii[:, None]).any(0).float().mean().item()


DIVERSITY = Logged(
    "diversity", title="diversity of held-out fakes (0: all alike)", smooth=False, brief=False
)
LIGHT_AGREEMENT = Logged(
    "light_agreement", title="light kept (below 0: inverted)", smooth=False, brief=False
)
_REC_601 = (0.299, 0.587, 0.114)


def diversity(sources: Tensor, fakes: Tensor) -> float:
    """Return how much the fakes differ from each other, relative to their sources.

    Both are (N, C, H, W) in [-1, 1], N at least 2. Near 0 all fakes are one image, near 1 they
    differ as their sources do.
    """
    return (_spread(fakes) / _spread(sources).clamp_min(1e-6)).item()


def light_agreement(sources: Tensor, fakes: Tensor) -> float:
    """Return the correlation of luminance (Rec. 601) from sources to fakes, in [-1, 1].

    Both are (N, C, H, W) in [-1, 1]. Below 0, what was light has become dark.
    """
    light = torch.stack([luminance(sources).flatten(), luminance(fakes).flatten()])
    # A picture of one gray has no correlation: 0 says nothing against it.
    return torch.corrcoef(light)[0, 1].nan_to_num(0.0).item()


def _spread(images: Tensor) -> Tensor:
    return (images - images.mean(0)).abs().mean()


def luminance(images: Tensor) -> Tensor:
    """Return Rec. 601 luminance (N, H, W) in [-1, 1] of images (N, C, H, W).

    The mean of the channels where they are no colours.
    """
    if images.shape[1] != 3:
        return images.mean(1)
    weights = torch.tensor(_REC_601, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1)
