"""What a recipe is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cyclegan.discriminators import DiscriminatorSettings
from cyclegan.execution.execution import Execution
from cyclegan.fusion.settings import FusionSettings
from cyclegan.generators import GeneratorSettings
from cyclegan.layers.settings import NetworkSettings
from cyclegan.losses.perceptual.settings import PerceptualSettings
from cyclegan.losses.settings import LossSettings
from cyclegan.training.settings import TrainingSettings


@dataclass(frozen=True)
class Materials:
    """Settings of the parts, how they are computed, and the pictures to be like."""

    networks: NetworkSettings
    generator: GeneratorSettings
    discriminator: DiscriminatorSettings
    losses: LossSettings
    perceptual: PerceptualSettings
    training: TrainingSettings
    execution: Execution
    seed: int
    device: torch.device
    fusion: FusionSettings = field(default_factory=FusionSettings)
    targets: Sequence[Path] = ()
    """files of domain B, for recipes that look at whole pictures before the first step"""
