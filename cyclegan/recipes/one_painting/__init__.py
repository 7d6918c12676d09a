"""Settings of the one-painting recipe: a generator learns one picture's style, or several."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic.dataclasses import dataclass

from cyclegan.generators import GeneratorSettings, ResnetSettings
from cyclegan.kinds import STRICT
from cyclegan.layers import ChannelSettings, NetworkSettings
from cyclegan.losses import PerceptualSettings, StyleLossSettings

if TYPE_CHECKING:
    from torch import nn

    from cyclegan.execution.choice import Work
    from cyclegan.recipes.materials import Converter, Materials, Saved, Styles
    from cyclegan.training.step import Recipe


@dataclass(frozen=True, config=STRICT)
class OnePaintingSettings:
    """A generator that learns one picture's style, or those of several."""

    model: Literal["one_painting"] = "one_painting"
    """model to train: a generator that learns the style of one or more images"""
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    generator: GeneratorSettings = field(default_factory=ResnetSettings)
    losses: StyleLossSettings = field(default_factory=StyleLossSettings)
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)

    both_ways: ClassVar[bool] = False
    directions: ClassVar[tuple[str, ...]] = ("AtoB",)
    needs_targets: ClassVar[bool] = True
    given_style: ClassVar[bool] = False
    fixed: ClassVar[tuple[str, ...]] = ("generator",)
    described: ClassVar[Mapping[str, Any]] = {}
    offers: ClassVar[tuple[str, ...]] = ("perceptual",)
    guessing: ClassVar[float | None] = None
    same_sizes: ClassVar[bool] = False
    smallest_side: ClassVar[int] = 24
    """minimum side in pixels to learn a style from"""

    @property
    def frozen_networks(self) -> dict[str, str]:
        """Pretrained networks that the recipe learns by, by the key that names each."""
        return {"loss_features": self.perceptual.loss_features}

    def check(self, channels: ChannelSettings, crop_size: int) -> None:
        """Raise UsageError where settings contradict each other."""
        channels.check_residual(self.generator.residual)

    def starting_from(self, names: Sequence[str]) -> Self:
        """Return the same settings: nothing depends on what else starts fresh."""
        return self

    def networks_of(self, channels: ChannelSettings) -> "Sequence[nn.Module]":
        """Return networks that a checkpoint holds at least, by which its size is checked."""
        return [self.generator.build(channels.input_nc, channels.output_nc, self.networks.norm)]

    def probe(self, channels: ChannelSettings, batch_size: int, side: int) -> "Work":
        """Return the workload of the generator."""
        from cyclegan.recipes.one_painting.recipe import probe

        return probe(self, channels, batch_size, side)

    def build(self, materials: "Materials") -> "Recipe":
        """Return the generator with all that trains it."""
        from cyclegan.recipes.one_painting.recipe import build

        return build(self, materials)

    def converter(self, saved: "Saved", styles: "Styles") -> "Converter":
        """Return the generator, which paints as its mix says where it knows several paintings."""
        from cyclegan.recipes.one_painting.recipe import converter

        return converter(self, saved, styles)
