"""A recipe that cyclegan finds by an entry point: a generator learns light and shade."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.amp import GradScaler

from cyclegan.data.batch import Batch
from cyclegan.execution.choice import Work
from cyclegan.generators import GeneratorSettings, ResnetSettings
from cyclegan.kinds import STRICT, Kind
from cyclegan.layers import ChannelSettings, NetworkSettings
from cyclegan.layers.convolution import initialize
from cyclegan.losses import Direction, Weight, product
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import Objective, make_objective, proceeding
from cyclegan.recipes.materials import Converter, Materials, Saved, Styles, generator_work
from cyclegan.training.state import TrainingState, adam
from cyclegan.training.step import Part, Phase, Recipe, Translations
from cyclegan.translation import Convert, Translation

GENERATOR = "generator_a_to_b"


@dataclass(frozen=True, config=STRICT)
class GrayLossSettings:
    """Weights of what a grayscale generator minimises."""

    lambda_gray: Weight = 1.0
    """weight of the difference to the photograph without its colours"""
    weights: dict[str, Weight] = field(default_factory=dict)
    """weights of additional loss terms by name"""


@dataclass(frozen=True, config=STRICT)
class GrayscaleSettings:
    """A generator that learns to take colours away."""

    model: Literal["grayscale"] = "grayscale"
    """model to train: a generator that learns to take colours away"""
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    generator: GeneratorSettings = field(default_factory=ResnetSettings)
    losses: GrayLossSettings = field(default_factory=GrayLossSettings)

    both_ways: ClassVar[bool] = False
    directions: ClassVar[tuple[str, ...]] = ("AtoB",)
    needs_targets: ClassVar[bool] = False
    given_style: ClassVar[bool] = False
    fixed: ClassVar[tuple[str, ...]] = ("generator",)
    described: ClassVar[Mapping[str, Any]] = {}
    offers: ClassVar[tuple[str, ...]] = ()
    guessing: ClassVar[float | None] = None
    same_sizes: ClassVar[bool] = False
    smallest_side: ClassVar[int] = 8
    frozen_networks: ClassVar[Mapping[str, str]] = {}

    def check(self, channels: ChannelSettings, crop_size: int) -> None:
        channels.check_residual(self.generator.residual)

    def starting_from(self, names: Sequence[str]) -> Self:
        return self

    def networks_of(self, channels: ChannelSettings) -> list[nn.Module]:
        return [self.generator.build(channels.input_nc, channels.output_nc, self.networks.norm)]

    def probe(self, channels: ChannelSettings, batch_size: int, side: int) -> Work:
        return generator_work(self.generator, self.networks.norm, channels, batch_size, side, 1.0)

    def converter(self, saved: Saved, styles: Styles) -> Converter:
        styles.refuse(saved.path)
        return Converter.as_trained(self.generator, self.networks.norm, saved)

    def build(self, materials: Materials) -> Recipe:
        device, execution = materials.device, materials.execution
        (generator,) = self.networks_of(materials.channels)
        initialize(generator, self.networks.init_type, self.networks.init_gain)
        generator.to(device).train()
        terms = {name: product(weight) for name, weight in self.losses.weights.items()}
        further = make_objective(terms, LossContext(device=device))
        gray = further.context.weigh(product(self.losses.lambda_gray))
        recipe = Grayscale(generator, execution.prepare(generator), gray, further)
        networks = {GENERATOR: generator, **further.networks("a_to_b", device)}
        optimizer = adam(networks.values(), materials.training, fused=execution.fused)
        scaler = GradScaler(device.type, enabled=execution.precision == "fp16")
        state = TrainingState(networks, {"generator": optimizer}, {}, scaler)
        proceed = proceeding([further], materials.steps)
        phase = Phase("generator", optimizer, tuple(networks), recipe.parts, prepare=proceed)
        return Recipe(state, (phase,), recipe.preview, recipe.convert)


@plain_dataclass(frozen=True)
class Grayscale:
    """A generator, and its difference to photographs without their colours."""

    network: nn.Module
    call: Convert
    weight: float | Tensor
    further: Objective

    def parts(self, batch: Batch, made: Translations, step: int) -> Iterator[Part]:
        wanted = batch.a.mean(1, keepdim=True).expand_as(batch.a)
        translation = Translation(batch.a, wanted, self.call(batch.a), None, None)
        losses = {"gray": (translation.fake - wanted).abs().mean() * self.weight}
        losses |= self.further(translation)
        named = {f"{name}_a_to_b": loss for name, loss in losses.items()}
        yield Part(named, {"a_to_b": translation.detach()})

    def preview(self, batch: Batch) -> Translations:
        made = self.convert("a_to_b", batch.a)
        return {"a_to_b": Translation(batch.a, batch.b, made, None, None)}

    @torch.no_grad()
    def convert(self, direction: Direction, images: Tensor) -> Tensor:
        converted: Tensor = self.network.eval()(images)
        self.network.train()
        return converted


GRAYSCALE = Kind(GrayscaleSettings)
