"""Evaluation of one direction of a run, and the scorer of both during training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from cyclegan.distributed import ALONE, Group
from cyclegan.evaluation.domain import crops_of
from cyclegan.evaluation.eval_set import ComparedWith, MeasuredDirection, make_ways, open_domains
from cyclegan.evaluation.quality import (
    Kept,
    Likeness,
    StyleDistances,
    kept_content,
    likeness,
    mean_difference,
    style_distance,
)
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.table import feature_network
from cyclegan.losses import Direction
from cyclegan.metrics.collapse import diversity
from cyclegan.metrics.content import copies
from cyclegan.metrics.distances import Kid, Progress, progress
from cyclegan.run import FolderDirection
from cyclegan.settings import Settings
from cyclegan.training.best import Score
from cyclegan.translation import Convert


@dataclass(frozen=True)
class Measured:
    """All figures of one direction."""

    target: ComparedWith
    """reference of the comparison"""
    likeness: Likeness
    unconverted: Kid
    """of the inputs themselves: conversions should be below it"""
    progress: Progress
    kept: Kept
    style: StyleDistances | None
    """None without twins to compare with"""


@dataclass(frozen=True)
class Evaluation:
    """All figures of one checkpoint."""

    epoch: str
    images: int
    """seen in training; 0 if unknown"""
    side: int
    crops: int
    """crops per domain; 0 if each picture was taken whole"""
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
    """Measure one direction: convert its pictures there and back, and `targets` by `forward`.

    The latter give the identity error. `content` is the network whose maps tell what was kept;
    `tick` is called with the number of pictures done. Raises UserError.
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


ConvertDirection = Callable[[Direction, Tensor], Tensor]


@dataclass(frozen=True)
class Scorer:
    """Scorer of both directions, named as the run names them, with the network that judges."""

    ways: Mapping[Direction, MeasuredDirection]
    network: FeatureNetwork
    group: Group = ALONE
    """processes that share the work"""

    def __call__(self, convert: ConvertDirection) -> dict[Direction, Score]:
        """Convert the pictures of each direction and return its score."""
        return {
            direction: self._of(direction, way, convert) for direction, way in self.ways.items()
        }

    @property
    def unconverted(self) -> float:
        """KID of the unconverted pictures, the mean of both directions."""
        return fmean(way.unconverted.kid.value for way in self.ways.values())

    def _of(self, direction: Direction, way: MeasuredDirection, convert: ConvertDirection) -> Score:
        return way.score(lambda batch: convert(direction, batch), self.network, self.group)


def make_scorer(settings: Settings, device: torch.device, group: Group = ALONE) -> Scorer:
    """Return the scorer for a run's data, on `device`. Raises UserError for too few pictures."""
    side = settings.data.crop_size
    domains = open_domains(settings, settings.data, side, settings.quality.eval_images)
    crops = crops_of([domain.test for domain in domains.values()], side, None)
    network = feature_network("efficientnet-lite0").on(device)
    ways = make_ways(domains, crops, network)
    there, back = ways["AtoB"], ways["BtoA"]
    if settings.run.direction == "BtoA":
        there, back = back, there
    return Scorer({"a_to_b": there, "b_to_a": back}, network, group)
