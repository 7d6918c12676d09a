"""Evaluation set: what all checkpoints of a run are compared with, made once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cyclegan.data import DataSettings
from cyclegan.data.preprocess import CenterCrop, View
from cyclegan.distributed import ALONE, Group
from cyclegan.errors import UserError
from cyclegan.evaluation import EvaluateSettings
from cyclegan.evaluation.domain import (
    EvaluationDomain,
    crops_of,
    cut,
    open_domain,
    vectors_of,
    view_of,
    wholes,
)
from cyclegan.evaluation.quality import FEWEST
from cyclegan.features.network import FeatureNetwork
from cyclegan.metrics.content import ssim
from cyclegan.metrics.distances import Comparison, compare, progress
from cyclegan.run import FolderDirection
from cyclegan.settings import Settings
from cyclegan.training.best import Score

DomainName = Literal["A", "B"]
ComparedWith = Literal["twins", "domain"]
NAMES: tuple[DomainName, DomainName] = ("A", "B")


@dataclass(frozen=True)
class MeasuredDirection:
    """One direction: the pictures to convert, and what they are compared with."""

    sources: list[Tensor]
    """whole pictures to convert, batches (N, C, H, W) in [-1, 1]"""
    view: View
    """part of them to compare"""
    real: Tensor
    """(N, D): features of the target"""
    target: ComparedWith
    """the sources' twins, or all pictures of the other domain"""
    unconverted: Comparison
    """sources against target, without conversion: the baseline"""
    twins: list[Tensor]
    """ground truth of the source crops in the other domain, batches (N, C', side, side); none if
    unknown"""

    @property
    def pictures(self) -> int:
        """Number of pictures to convert."""
        return sum(map(len, self.sources))

    def squares(self, whole: Sequence[Tensor]) -> list[Tensor]:
        """Return the compared crops of whole pictures, in batches (N, C, side, side)."""
        return list(cut(whole, self.view))

    def score(
        self, convert: Callable[[Tensor], Tensor], network: FeatureNetwork, group: Group = ALONE
    ) -> Score:
        """Convert whole batches, each in one process of a group, and return their score.

        Raises UserError.
        """

        def looked_at(batch: Tensor) -> tuple[Tensor, Tensor]:
            before, after = self.squares([batch, convert(batch).float().cpu()])
            return network(after).vectors, ssim(before, after)

        seen, kept = zip(*group.spread(self.sources, looked_at), strict=True)
        found = compare(self.real.double().numpy(), torch.cat(seen).double().numpy())
        made = progress(found, self.unconverted)
        return Score(found.kid, made, torch.cat(kept).mean().item())


@dataclass(frozen=True)
class EvalSet:
    """Measured directions by the folders' names, and the networks that measure them."""

    ways: Mapping[FolderDirection, MeasuredDirection]
    network: FeatureNetwork
    content: FeatureNetwork
    """the network whose maps measure content"""
    side: int
    crops: int
    """crops per domain; 0 if each picture is taken whole"""


def make_eval_set(
    trained: Settings,
    settings: EvaluateSettings,
    network: FeatureNetwork,
    content: FeatureNetwork,
) -> EvalSet:
    """Return the evaluation set of a run that was trained with `trained`.

    Raises UserError where pictures are missing, or too few.
    """
    data = trained.data.below(settings.dataroot)
    for _, lost in data.lost():
        raise UserError(f"{lost}: not found: give --dataroot DIR with the images to measure on")
    side = settings.size or data.crop_size
    domains = open_domains(trained, data, side, settings.images)
    crops = crops_of([domain.test for domain in domains.values()], side, settings.crops)
    return EvalSet(make_ways(domains, crops, network), network, content, side, crops)


def open_domains(
    trained: Settings, data: DataSettings, side: int, count: int | None
) -> dict[DomainName, EvaluationDomain]:
    """Open the domains in the folders of `data`, as a run with `trained` sees them.

    Raises UserError.
    """
    channels = (trained.networks.input_nc, trained.networks.output_nc)
    if trained.run.direction == "BtoA":
        channels = channels[::-1]
    return {
        name: open_domain(data.folder(name), CenterCrop(side, number, data.range), count)
        for name, number in zip(NAMES, channels, strict=True)
    }


def make_ways(
    domains: Mapping[DomainName, EvaluationDomain], crops: int, network: FeatureNetwork
) -> dict[FolderDirection, MeasuredDirection]:
    """Return both directions, with about `crops` crops a domain. Raises UserError."""
    a, b = (domains[name] for name in NAMES)
    return {"AtoB": _way(a, b, crops, network), "BtoA": _way(b, a, crops, network)}


def _way(
    source: EvaluationDomain, target: EvaluationDomain, crops: int, network: FeatureNetwork
) -> MeasuredDirection:
    view = view_of(source.test, source.square, crops)
    sources = list(wholes(source.test, view))
    inputs = torch.cat([network(batch).vectors for batch in cut(sources, view)])
    twins: list[Tensor] = []
    if source.twins:
        other = view_of(source.twins, target.square, crops)
        real = vectors_of(source.twins, other, network)
        whole = list(wholes(source.twins, other))
        # Of other sizes, or where one can't be read, their squares are of other places.
        twins = list(cut(whole, other)) if _sizes(whole) == _sizes(sources) else []
    else:
        real = target.vectors(network, crops)
    for found, paths in ((inputs, source.test), (real, source.twins or target.real[0])):
        if len(found) < FEWEST:
            raise UserError(f"{paths[0].parent}: fewer than {FEWEST} pictures")
    unconverted = compare(real.double().numpy(), inputs.double().numpy())
    return MeasuredDirection(
        sources, view, real, "twins" if source.twins else "domain", unconverted, twins
    )


def _sizes(batches: Sequence[Tensor]) -> list[tuple[int, int, int]]:
    return [(len(batch), *batch.shape[2:]) for batch in batches]
