"""The fusion recipe: a decoder and a fusion module give any photograph any painting's style."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from cyclegan.classic import Architecture
from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError
from cyclegan.execution.choice import Work
from cyclegan.features import LayeredName
from cyclegan.features.table import LAYERED
from cyclegan.layers import ChannelSettings
from cyclegan.losses import Direction, StyleLossSettings, as_typed
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import Objective, make_objective, proceeding
from cyclegan.losses.perceptual import Perceptual
from cyclegan.recipes.fusion import Blueprint, FusionNetworkSettings, FusionSettings
from cyclegan.recipes.fusion.network import (
    FusionNetwork,
    StyledNetwork,
    blank_network,
    fusion_network,
)
from cyclegan.recipes.materials import Converter, Materials, Saved, Styles, open_style
from cyclegan.training.state import Averages, TrainingState, adam
from cyclegan.training.step import Part, Phase, Recipe, Translations
from cyclegan.translation import Translation

#: The converter's name for what makes B of A.
NETWORK = "generator_a_to_b"


@dataclass(frozen=True)
class Fusion:
    """Content and style losses of photographs A in the styles of paintings B, pair by pair.

    Huang and Belongie 2017, section 6.
    """

    network: FusionNetwork
    shown: FusionNetwork
    """the same for conversion: EMA if there is one"""
    objective: Objective
    device: torch.device
    paintings: Sequence[Path]
    painting_size: int

    def parts(self, batch: Batch, made: Translations, step: int) -> Iterator[Part]:
        """Yield each photograph in the style of its painting, with the weighted losses."""
        translation = Translation(batch.a, batch.b, self.network(batch.a, [batch.b]), None, None)
        losses = self.objective(translation)
        named = {f"{name}_a_to_b": loss for name, loss in losses.items()}
        yield Part(named, {"a_to_b": translation.detach()})

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Translation]:
        """Paint each photograph in its style, and each style in its own, which should keep it."""
        fake, same = (self.shown(images, [batch.b]) for images in (batch.a, batch.b))
        return {"a_to_b": Translation(batch.a, batch.b, fake, None, same)}

    @torch.no_grad()
    def convert(self, direction: Direction, images: Tensor) -> Tensor:
        """Paint images (N, C, H, W) in [-1, 1] like the first painting; there is no way back."""
        channels = images.shape[1]
        first = open_style(self.paintings[0], self.painting_size, channels).to(self.device)
        made: Tensor = self.shown(images.to(self.device), [first])
        return made


def probe(settings: FusionSettings, channels: ChannelSettings, batch: int, side: int) -> Work:
    """Return the workload of the network with the pictures as styles too.

    The weights of its encoder don't matter.
    """
    network = blank_network(
        settings.perceptual.loss_features, settings.fusion, channels.output_nc, prepared=False
    )
    return Work(
        _OwnStyle(network),
        (batch, channels.input_nc, side, side),
        passes=1 + settings.perceptual.share,
        per_sample=True,
        widest=settings.fusion.widest,
        adapts=False,
    )


class _OwnStyle(nn.Module):
    """Network that paints each image in its own style: as much to compute as in another's."""

    def __init__(self, network: FusionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Paint images (N, C, H, W) in [-1, 1] -> the same shape and range."""
        made: Tensor = self.network(images, [images])
        return made


def converter(settings: FusionSettings, saved: Saved, styles: Styles) -> Converter:
    """Return the network, which paints in `styles` once its weights are loaded."""
    styles.refuse_mix(saved.path)
    side, channels = settings.losses.painting_size, saved.channels[1]

    def painted(network: nn.Module) -> nn.Module:
        assert isinstance(network, FusionNetwork)
        return StyledNetwork(network, *styles.open(side, channels, saved.path))

    blueprint = blueprint_of(settings.fusion, settings.perceptual.loss_features, saved.weights)
    return Converter(Architecture(blueprint, *saved.channels, "instance"), saved.weights, painted)


def blueprint_of(
    settings: FusionNetworkSettings, features: LayeredName, weights: Mapping[str, Tensor]
) -> Blueprint:
    """Return the blueprint of the network with these weights."""
    # The entry's scales and shifts have a first dimension of 1.
    first = next(each for each in weights.values() if each.ndim == 4 and each.shape[0] > 1)
    prepared = first.shape[2:] == (1, 1)
    with torch.device("meta"):
        network = blank_network(features, settings, 3, prepared=prepared)
    return Blueprint(settings, features, prepared, network.encoder.scale)


def build(settings: FusionSettings, materials: Materials) -> Recipe:
    """Make the network, the optimizer of its trained parts, and the one phase of a step.

    Weights are drawn from torch's global generator, as its layers do. Raises UserError where the
    feature network's weights can't be had: a checkpoint holds them, and another network's won't do.
    """
    device, training, perceptual = materials.device, materials.training, settings.perceptual
    features = LAYERED[perceptual.loss_features](perceptual.feature_weights)
    network = fusion_network(features, settings.fusion, materials.channels.output_nc)
    network.to(device).train()
    averages, shown = Averages(), network
    if training.ema_decay:
        shown = copy.deepcopy(network).requires_grad_(False)
        averages = Averages({NETWORK: shown}, training.ema_decay)
    _check_weights(settings.losses)
    seeing = Perceptual.build(perceptual, device)
    objective = make_objective(
        settings.losses.term_weights, LossContext(make_perceptual=lambda: seeing, device=device)
    )
    own = objective.networks("a_to_b", device)
    recipe = Fusion(
        network,
        shown,
        objective,
        device,
        materials.targets,
        settings.losses.painting_size,
    )
    trained: list[nn.Module] = [network.fusion, network.decoder, *own.values()]
    optimizer = adam(trained, training, fused=materials.execution.fused)
    scaler = GradScaler(device.type, enabled=False)  # all is computed in float32
    state = TrainingState({NETWORK: network} | own, {"fusion": optimizer}, {}, scaler, averages)
    proceed = proceeding([objective], materials.steps)
    phase = Phase("fusion", optimizer, (NETWORK, *own), recipe.parts, prepare=proceed)
    return Recipe(state, (phase,), recipe.preview, recipe.convert)


def _check_weights(losses: StyleLossSettings) -> None:
    """Raise UsageError where content or style has no weight."""
    if not (losses.lambda_content and losses.lambda_style):
        raise UsageError(
            f"--lambda_content {as_typed(losses.lambda_content)} --lambda_style "
            f"{as_typed(losses.lambda_style)}: both must be above 0; the preset fusion has "
            "suitable weights"
        )
