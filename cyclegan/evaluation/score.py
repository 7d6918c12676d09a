"""KID of held-out conversions, again and again while training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan.data.square import Square
from cyclegan.errors import UserError
from cyclegan.evaluation.domain import open_domain
from cyclegan.evaluation.quality import FEWEST
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.table import feature_network
from cyclegan.losses.settings import Direction
from cyclegan.metrics.kid import Kid, kid
from cyclegan.settings import Settings

Converter = Callable[[Direction, Tensor], Tensor]


@dataclass(frozen=True)
class Scorer:
    """Test pictures of both domains, and features of the real ones."""

    sources: Mapping[Direction, list[Tensor]]
    """batches (N, C, side, side) in [-1, 1] to be converted"""
    real: Mapping[Direction, Tensor]
    """(N, D) of the domain that is converted to"""
    network: FeatureNetwork

    def __call__(self, convert: Converter) -> dict[Direction, Kid]:
        """Convert and compare."""
        return {
            direction: self._of(direction, batches, convert)
            for direction, batches in self.sources.items()
        }

    def _of(self, direction: Direction, batches: list[Tensor], convert: Converter) -> Kid:
        seen = [self.network(convert(direction, batch).float().cpu()).vectors for batch in batches]
        return kid(self.real[direction].double().numpy(), torch.cat(seen).double().numpy())


def make_scorer(settings: Settings) -> Scorer:
    """For the data of a run. Raises UserError where there are no pictures, or too few."""
    data, networks = settings.data, settings.networks
    a, b = data.folder("A"), data.folder("B")
    if settings.run.direction == "BtoA":
        a, b = b, a
    count, side = settings.quality.eval_images, data.crop_size
    source = open_domain(a, Square(side, networks.input_nc, data.range), count)
    target = open_domain(b, Square(side, networks.output_nc, data.range), count)
    for domain in (source, target):
        if min(len(domain.test), len(domain.real)) < FEWEST:
            raise UserError(f"{domain.test[0].parent}: fewer than {FEWEST} pictures")
    network = feature_network("efficientnet-lite0")
    return Scorer(
        {"a_to_b": source.batches(), "b_to_a": target.batches()},
        {"a_to_b": target.vectors(network), "b_to_a": source.vectors(network)},
        network,
    )
