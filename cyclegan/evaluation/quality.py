"""Quality figures of one direction, and of two sets of pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan.errors import UserError
from cyclegan.features.layered import LayeredNetwork
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.table import layered_network
from cyclegan.losses.perceptual import gram
from cyclegan.metrics.collapse import PrecisionRecall, precision_recall
from cyclegan.metrics.content import Content, feature_distance, ssim, structure_distance
from cyclegan.metrics.distances import Comparison, Fid, Kid, compare, fid

FEWEST = 4  # pictures of a set
STYLE_LAYERS = ("block0", "block2", "block4", "block10")


@dataclass(frozen=True)
class Likeness:
    """Similarity of other pictures to the real ones, as sets."""

    images: int
    real_images: int
    comparison: Comparison
    fid: Fid
    manifold: PrecisionRecall

    @property
    def kid(self) -> Kid:
        """KID with its standard error."""
        return self.comparison.kid


@dataclass(frozen=True)
class Kept:
    """Effect of the conversion on single pictures."""

    content: Content
    cycle: float
    """mean absolute cycle reconstruction error, relative to the range [0, 1]"""
    identity: float | None
    """the same for target pictures; None if channel counts differ"""
    copies: float
    """share of outputs that equal their inputs"""
    diversity: float
    """pairwise distance of outputs, relative to inputs; near 0: mode collapse"""


@dataclass(frozen=True)
class StyleDistances:
    """Distances of pictures from their twins' style: 0 is the twins' own."""

    converted: float
    unconverted: float

    @property
    def ratio(self) -> float:
        """Share of the distance that is left: 1 where nothing was done."""
        return self.converted / max(self.unconverted, 1e-9)


def likeness(real: Tensor, fake: Tensor) -> Likeness:
    """Compare feature vectors (M, D) and (N, D). Raises UserError where there are too few."""
    fewest = min(len(real), len(fake))
    if fewest < FEWEST:
        raise UserError(f"{fewest} pictures are too few to compare sets: at least {FEWEST}")
    one, other = real.double().numpy(), fake.double().numpy()
    return Likeness(
        len(fake), len(real), compare(one, other), fid(one, other), precision_recall(real, fake)
    )


def kept_content(
    before: Iterable[Tensor], after: Iterable[Tensor], network: FeatureNetwork
) -> Content:
    """Compare pictures before and after conversion one by one, (N, C, H, W) in [-1, 1]."""
    each: list[tuple[Tensor, Tensor, Tensor]] = []
    for inputs, outputs in zip(before, after, strict=True):
        first, second = network(inputs).maps, network(outputs).maps
        each.append(
            (
                ssim(inputs, outputs),
                feature_distance(first, second),
                structure_distance(first[-1], second[-1]),
            )
        )
    similar, distance, structure = (
        torch.cat(values).mean().item() for values in zip(*each, strict=True)
    )
    return Content(similar, distance, structure)


def mean_difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the mean absolute difference of batches in [-1, 1], scaled to the range [0, 1]."""
    return (torch.cat(list(one)) - torch.cat(list(other))).abs().mean().item() / 2


def style_distance(
    before: Iterable[Tensor], after: Iterable[Tensor], twins: Iterable[Tensor]
) -> StyleDistances | None:
    """Return the mean distance of batches (N, C, H, W) in [-1, 1] to their twins' Gram matrices.

    Frobenius norms in layers of EfficientNet-Lite0 from fine to coarse, each relative to the
    twin's. None where the pictures are too small for the layers.
    """
    network = layered_network("efficientnet-lite0")
    distances: list[tuple[Tensor, Tensor]] = []
    for inputs, outputs, wanted in zip(before, after, twins, strict=True):
        if min(wanted.shape[2:]) < network.smallest(STYLE_LAYERS):
            return None
        target = _grams(wanted, network)
        distances.append(
            (_apart(_grams(outputs, network), target), _apart(_grams(inputs, network), target))
        )
    converted, unconverted = (
        torch.cat(each).mean().item() for each in zip(*distances, strict=True)
    )
    return StyleDistances(converted, unconverted)


@torch.inference_mode()
def _grams(images: Tensor, network: LayeredNetwork) -> list[Tensor]:
    return [gram(maps) for maps in network(images, STYLE_LAYERS).values()]


def _apart(made: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Return relative distances (N,) of Gram matrices, a mean over layers."""
    each = [
        (one - other).flatten(1).norm(dim=1) / other.flatten(1).norm(dim=1).clamp_min(1e-9)
        for one, other in zip(made, wanted, strict=True)
    ]
    return torch.stack(each).mean(0)
