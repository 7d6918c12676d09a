"""One direction of a run: its test images converted, and measured."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan.evaluation.quality import Kept, Likeness, kept_content, likeness, mean_difference
from cyclegan.features.network import FeatureNetwork
from cyclegan.metrics.content import copies
from cyclegan.metrics.kid import Kid
from cyclegan.metrics.signs import diversity
from cyclegan.run import FolderDirection
from cyclegan.translation import Convert


@dataclass(frozen=True)
class Measured:
    """All figures of one direction."""

    likeness: Likeness
    unconverted: Kid
    """of the inputs themselves: what conversion should at least be below"""
    kept: Kept


@dataclass(frozen=True)
class Evaluation:
    """A checkpoint's figures."""

    epoch: str
    images: int
    """that it was trained on"""
    side: int
    directions: dict[FolderDirection, Measured]


def measure(
    forward: Convert,
    backward: Convert,
    sources: list[Tensor],
    targets: list[Tensor],
    real: Tensor,
    network: FeatureNetwork,
    content: FeatureNetwork,
    tick: Callable[[int], object] = lambda count: None,
) -> Measured:
    """Convert `sources` by `forward`; compare with `real` (N, D), features of the target domain.

    `sources` and `targets` are batches (N, C, H, W) in [-1, 1]; `content` is the network whose maps
    tell what was kept; `tick` hears how many pictures are done. Raises UserError.
    """
    fakes, cycled = [], []
    for batch in sources:
        fakes.append(forward(batch))
        cycled.append(backward(fakes[-1]))
        tick(len(batch))
    alike = sources[0].shape[1] == targets[0].shape[1]
    same = [forward(batch) for batch in targets] if alike else None
    vectors = torch.cat([network(batch).vectors for batch in fakes])
    inputs = torch.cat([network(batch).vectors for batch in sources])
    return Measured(
        likeness(real, vectors),
        likeness(real, inputs).kid,
        Kept(
            kept_content(sources, fakes, content),
            mean_difference(sources, cycled),
            None if same is None else mean_difference(targets, same),
            copies(torch.cat(sources), torch.cat(fakes)) if alike else 0.0,
            diversity(torch.cat(sources), torch.cat(fakes)),
        ),
    )
