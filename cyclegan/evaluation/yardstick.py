"""What all checkpoints of a run are held against, made once."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from cyclegan.data.square import Square
from cyclegan.errors import UserError
from cyclegan.evaluation.domain import open_domain
from cyclegan.evaluation.settings import EvaluateSettings
from cyclegan.features.network import FeatureNetwork
from cyclegan.settings import Settings

Name = Literal["A", "B"]


@dataclass(frozen=True)
class Yardstick:
    """Test pictures and features of the real ones, by the folders' names."""

    batches: dict[Name, list[Tensor]]
    """(N, C, side, side) in [-1, 1]"""
    real: dict[Name, Tensor]
    """(N, D), by `network`"""
    network: FeatureNetwork
    content: FeatureNetwork
    """the network whose maps tell what was kept"""
    side: int


def make_yardstick(
    trained: Settings,
    settings: EvaluateSettings,
    network: FeatureNetwork,
    content: FeatureNetwork,
) -> Yardstick:
    """For a run trained with `trained`. Raises UserError where pictures are missing."""
    data, networks = trained.data.below(settings.dataroot), trained.networks
    for _, lost in data.lost():
        raise UserError(f"{lost}: not there: give --dataroot DIR with the images to measure on")
    channels = (networks.input_nc, networks.output_nc)
    if trained.run.direction == "BtoA":
        channels = channels[::-1]
    side = settings.size or data.crop_size
    names: tuple[Name, Name] = ("A", "B")
    domains = {
        name: open_domain(data.folder(name), Square(side, number, data.range), settings.images)
        for name, number in zip(names, channels, strict=True)
    }
    return Yardstick(
        {name: domain.batches() for name, domain in domains.items()},
        {name: domain.vectors(network) for name, domain in domains.items()},
        network,
        content,
        side,
    )
