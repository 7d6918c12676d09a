"""What is measured of one direction, and of two sets of pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan.errors import UserError
from cyclegan.features.network import FeatureNetwork
from cyclegan.metrics import content
from cyclegan.metrics.content import Content
from cyclegan.metrics.fid import Fid, fid
from cyclegan.metrics.kid import Kid, kid
from cyclegan.metrics.manifold import PrecisionRecall, precision_recall

FEWEST = 4  # pictures of a set


@dataclass(frozen=True)
class Likeness:
    """How like the real pictures the others are, as sets."""

    images: int
    real_images: int
    kid: Kid
    fid: Fid
    manifold: PrecisionRecall


@dataclass(frozen=True)
class Kept:
    """What conversion did to each picture."""

    content: Content
    cycle: float
    """mean absolute difference to the way there and back, in parts of the range [0, 1]"""
    identity: float | None
    """the same for pictures of the target; None where they have another number of channels"""
    copies: float
    """share of outputs that equal their inputs"""
    diversity: float
    """how much outputs differ from each other, relative to inputs; near 0 they have collapsed"""


def likeness(real: Tensor, fake: Tensor) -> Likeness:
    """Compare vectors (M, D) and (N, D). Raises UserError where there are too few."""
    fewest = min(len(real), len(fake))
    if fewest < FEWEST:
        raise UserError(f"{fewest} pictures are too few to compare sets: at least {FEWEST}")
    one, other = real.double().numpy(), fake.double().numpy()
    return Likeness(
        len(fake), len(real), kid(one, other), fid(one, other), precision_recall(real, fake)
    )


def kept_content(
    before: Iterable[Tensor], after: Iterable[Tensor], network: FeatureNetwork
) -> Content:
    """Compare batches of pictures (N, C, H, W) in [-1, 1] one by one."""
    each: list[tuple[Tensor, Tensor, Tensor]] = []
    for inputs, outputs in zip(before, after, strict=True):
        first, second = network(inputs).maps, network(outputs).maps
        each.append(
            (
                content.ssim(inputs, outputs),
                content.feature_distance(first, second),
                content.structure_distance(first[-1], second[-1]),
            )
        )
    similar, distance, structure = (
        torch.cat(values).mean().item() for values in zip(*each, strict=True)
    )
    return Content(similar, distance, structure)


def mean_difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Mean absolute difference of batches in [-1, 1], in parts of the range [0, 1]."""
    return (torch.cat(list(one)) - torch.cat(list(other))).abs().mean().item() / 2
