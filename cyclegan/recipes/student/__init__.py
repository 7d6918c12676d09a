"""Settings of the student recipe: a small generator learns what a trained one makes."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic.dataclasses import dataclass

from cyclegan.generators import GeneratorSettings, ResnetSettings
from cyclegan.kinds import STRICT
from cyclegan.layers import ChannelSettings, NetworkSettings
from cyclegan.losses import TermWeight, Weight

if TYPE_CHECKING:
    from torch import nn

    from cyclegan.execution.choice import Work
    from cyclegan.recipes.materials import Converter, Materials, Saved, Styles
    from cyclegan.training.step import Recipe


@dataclass(frozen=True, config=STRICT)
class DistillationSettings:
    """The teacher, and the distillation losses of its student.

    Each weight is a number, or a schedule over the run: "1 -> 10 at 0.5" rises from 1 to 10 in its
    first half, and stays.
    """

    teacher: Path | None = None
    """model to learn from: a run's folder, a checkpoint, or a weights file of another program"""
    lambda_pixels: Weight = 10.0
    """weight of the pixel-wise difference to the teacher's outputs"""
    lambda_features: Weight = 1.0
    """weight of the difference to the teacher's intermediate feature maps, relative to their
    magnitude"""
    lambda_discriminator: Weight = 1.0
    """weight of the difference between both outputs' feature maps in the teacher's discriminator,
    relative to their magnitude; left out if the teacher has no discriminator"""
    weights: dict[str, TermWeight] = field(default_factory=dict)
    """weights of additional loss terms by name"""


@dataclass(frozen=True, config=STRICT)
class StudentSettings:
    """A small generator that learns from a trained one."""

    model: Literal["student"] = "student"
    """model to train: a small generator that learns from a trained one"""
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    generator: GeneratorSettings = field(default_factory=ResnetSettings)
    losses: DistillationSettings = field(default_factory=DistillationSettings)

    both_ways: ClassVar[bool] = False
    directions: ClassVar[tuple[str, ...]] = ("AtoB", "BtoA")
    given_style: ClassVar[bool] = False
    needs_targets: ClassVar[bool] = False
    fixed: ClassVar[tuple[str, ...]] = ("generator",)
    described: ClassVar[Mapping[str, Any]] = {}
    offers: ClassVar[tuple[str, ...]] = ()
    guessing: ClassVar[float | None] = None
    same_sizes: ClassVar[bool] = False
    smallest_side: ClassVar[int] = 24
    """minimum side in pixels, for the teacher's discriminator to have maps"""

    @property
    def frozen_networks(self) -> dict[str, str]:
        """None: the teacher is a file of the user's."""
        return {}

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
        """Return the workload of the student; the teacher's execution is never compiled."""
        from cyclegan.recipes.student.recipe import probe

        return probe(self, channels, batch_size, side)

    def build(self, materials: "Materials") -> "Recipe":
        """Return the student with all that trains it."""
        from cyclegan.recipes.student.recipe import build

        return build(self, materials)

    def converter(self, saved: "Saved", styles: "Styles") -> "Converter":
        """Return the student. Raises UsageError where a style is asked for."""
        from cyclegan.recipes.student.recipe import converter

        styles.refuse(saved.path)
        return converter(self, saved)
