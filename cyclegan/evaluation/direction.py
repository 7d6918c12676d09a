"""One direction of a run: its test images converted, and measured."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from cyclegan.evaluation.quality import (
    Kept,
    Likeness,
    StyleDistances,
    kept_content,
    likeness,
    mean_difference,
    style_distance,
)
from cyclegan.evaluation.yardstick import ComparedWith, MeasuredDirection
from cyclegan.features.network import FeatureNetwork
from cyclegan.metrics.collapse import diversity
from cyclegan.metrics.content import copies
from cyclegan.metrics.kid import Kid, Progress, progress
from cyclegan.run import FolderDirection
from cyclegan.translation import Convert


@dataclass(frozen=True)
class Measured:
    """All figures of one direction."""

    target: ComparedWith
    """what the pictures are compared with"""
    likeness: Likeness
    unconverted: Kid
    """of the inputs themselves: what conversion should at least be below"""
    progress: Progress
    kept: Kept
    style: StyleDistances | None
    """None where there are no twins to compare with"""


@dataclass(frozen=True)
class Evaluation:
    """A checkpoint's figures."""

    epoch: str
    images: int
    """that it was trained on"""
    side: int
    crops: int
    """squares that were cut from the pictures of a domain; 0 where each was taken whole"""
    directions: dict[FolderDirection, Measured]


def measure(
    forward: Convert,
    backward: Convert,
    way: MeasuredDirection,
    targets: MeasuredDirection,
    network: FeatureNetwork,
    content: FeatureNetwork,
    tick: Callable[[int], object] = lambda count: None,
) -> Measured:
    """Convert the pictures of `way` by `forward`, and those of the way back for the identity.

    `content` is the network whose maps tell what was kept; `tick` hears how many pictures are done.
    Raises UserError.
    """
    fakes, cycled = [], []
    for batch in way.sources:
        fakes.append(forward(batch))
        cycled.append(backward(fakes[-1]))
        tick(len(batch))
    alike = way.sources[0].shape[1] == targets.sources[0].shape[1]
    same = [forward(batch) for batch in targets.sources] if alike else None
    before, after = way.squares(way.sources), way.squares(fakes)
    found = likeness(way.real, torch.cat([network(batch).vectors for batch in after]))
    return Measured(
        way.target,
        found,
        way.unconverted.kid,
        progress(found.comparison, way.unconverted),
        Kept(
            kept_content(before, after, content),
            mean_difference(before, way.squares(cycled)),
            None
            if same is None
            else mean_difference(targets.squares(targets.sources), targets.squares(same)),
            copies(torch.cat(before), torch.cat(after)) if alike else 0.0,
            diversity(torch.cat(before), torch.cat(after)),
        ),
        style_distance(before, after, way.twins) if way.twins else None,
    )
