"""How good held-out conversions are, again and again while training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

from torch import Tensor

from cyclegan.device import choose_device
from cyclegan.evaluation.domain import crops_of
from cyclegan.evaluation.yardstick import MeasuredDirection, make_ways, open_domains
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.table import feature_network
from cyclegan.losses import Direction
from cyclegan.quality.watch import Score
from cyclegan.settings import Settings

ConvertDirection = Callable[[Direction, Tensor], Tensor]


@dataclass(frozen=True)
class Scorer:
    """Both directions of a run, as it knows them, and the network that judges."""

    ways: Mapping[Direction, MeasuredDirection]
    network: FeatureNetwork

    def __call__(self, convert: ConvertDirection) -> dict[Direction, Score]:
        """Convert and compare."""
        return {
            direction: self._of(direction, way, convert) for direction, way in self.ways.items()
        }

    @property
    def unconverted(self) -> float:
        """KID of the pictures before, the mean of both directions."""
        return fmean(way.unconverted.kid.value for way in self.ways.values())

    def _of(self, direction: Direction, way: MeasuredDirection, convert: ConvertDirection) -> Score:
        return way.score(lambda batch: convert(direction, batch), self.network)


def make_scorer(settings: Settings) -> Scorer:
    """For the data of a run. Raises UserError where there are no pictures, or too few."""
    side = settings.data.crop_size
    domains = open_domains(settings, settings.data, side, settings.quality.eval_images)
    crops = crops_of([domain.test for domain in domains.values()], side, None)
    network = feature_network("efficientnet-lite0").on(choose_device(settings.run.device))
    ways = make_ways(domains, crops, network)
    there, back = ways["AtoB"], ways["BtoA"]
    if settings.run.direction == "BtoA":
        there, back = back, there
    return Scorer({"a_to_b": there, "b_to_a": back}, network)
