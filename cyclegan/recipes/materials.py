"""What a recipe is made of, and what it makes of a checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cyclegan.classic import Architecture
from cyclegan.execution.execution import Execution
from cyclegan.layers import ChannelSettings
from cyclegan.training import TrainingSettings
from cyclegan.wrapped import Weights


@dataclass(frozen=True)
class Materials:
    """What all recipes are given to train, besides their own settings."""

    channels: ChannelSettings
    training: TrainingSettings
    execution: Execution
    seed: int
    device: torch.device
    targets: Sequence[Path] = ()
    """files of domain B, for recipes that look at whole pictures before the first step"""


@dataclass(frozen=True)
class Saved:
    """The networks of a checkpoint, and which of them is wanted."""

    networks: Mapping[str, Weights]
    name: str
    channels: tuple[int, int]
    """that the wanted one takes and gives"""
    path: Path
    """of the checkpoint, to name it"""

    @property
    def weights(self) -> Weights:
        """Those of the network that is wanted."""
        return self.networks[self.name]


@dataclass(frozen=True)
class Converter:
    """The network of a checkpoint that converts."""

    architecture: Architecture
    weights: Weights
    finish: Callable[[nn.Module], nn.Module] | None = None
    """what is made of it once its weights are loaded, such as one that has its styles"""
