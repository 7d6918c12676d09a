"""Settings of CycleGAN: two generators and two discriminators, trained against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import NonNegativeInt, PositiveFloat
from pydantic.dataclasses import dataclass

from cyclegan.discriminators import BasicSettings, DiscriminatorSettings
from cyclegan.errors import UsageError
from cyclegan.generators import GeneratorSettings, ResnetSettings
from cyclegan.kinds import STRICT
from cyclegan.layers import ChannelSettings, NetworkSettings
from cyclegan.losses import LossSettings, PerceptualSettings, as_typed

if TYPE_CHECKING:
    from torch import nn

    from cyclegan.execution.choice import Work
    from cyclegan.recipes.materials import Converter, Materials, Saved, Styles
    from cyclegan.training.step import Recipe


# The discriminator of B first: the pools draw in this order, as in the classic.
DISCRIMINATORS = ("discriminator_b", "discriminator_a")
#: Steps in which discriminators that start fresh learn alone, beside generators that do not.
WARMUP = 1000


@dataclass(frozen=True, config=STRICT)
class AdversarialSettings:
    """Epochs, learning rate, image pool and checkpoints of a training with discriminators."""

    pool_size: NonNegativeInt = 50
    """size of the discriminators' pool of generated images"""
    discriminator_warmup: NonNegativeInt | None = None
    """initial steps that train only the discriminators; by default 1000 if --init_weights has
    generators without them, else 0"""
    discriminator_lr: PositiveFloat = 1.0
    """learning rate of the discriminators, as a multiple of lr (two time-scale update rule, Heusel
    et al. 2017)"""
    pretrain: NonNegativeInt = 0
    """images of each domain on which the generators are pretrained first, to inpaint greyed-out
    squares, while the discriminators wait; 0: none"""


@dataclass(frozen=True, config=STRICT)
class CycleGANSettings:
    """Two generators and two discriminators."""

    model: Literal["cycle_gan"] = "cycle_gan"
    """model to train: two generators and two discriminators"""
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    generator: GeneratorSettings = field(default_factory=ResnetSettings)
    discriminator: DiscriminatorSettings = field(default_factory=BasicSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)
    training: AdversarialSettings = field(default_factory=AdversarialSettings)

    both_ways: ClassVar[bool] = True
    directions: ClassVar[tuple[str, ...]] = ("AtoB", "BtoA")
    needs_targets: ClassVar[bool] = True
    given_style: ClassVar[bool] = False
    fixed: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "training.pool_size")
    described: ClassVar[Mapping[str, Any]] = {}
    offers: ClassVar[tuple[str, ...]] = (
        *("cycled", "identity", "discriminator", "encoder", "perceptual"),
    )

    @property
    def guessing(self) -> float | None:
        """A discriminator's loss when it can only guess; None where there is no such level."""
        return self.losses.guessing

    @property
    def same_sizes(self) -> bool:
        """True for wgangp, whose penalty mixes real and converted images pixel by pixel."""
        return self.losses.gan_mode == "wgangp"

    @property
    def smallest_side(self) -> int:
        """Shortest image side, in pixels, that yields a score."""
        return max(8, self.discriminator.smallest_side)

    @property
    def frozen_networks(self) -> dict[str, str]:
        """Pretrained networks that the recipe learns by, by the key that names each."""
        needs = self._needs()
        projection = getattr(self.discriminator, "projection", None)
        judging = {"projection": projection} if projection and "discriminator" in needs else {}
        seeing = {"loss_features": self.perceptual.loss_features} if "perceptual" in needs else {}
        return judging | seeing

    def _needs(self) -> set[str]:
        """Return the needs of the loss terms."""
        from cyclegan.losses.objective import needed

        ways = (self.losses.term_weights("a_to_b"), self.losses.term_weights("b_to_a"))
        return {*needed(name for way in ways for name in way)}

    def check(self, channels: ChannelSettings, crop_size: int) -> None:
        """Raise UsageError where settings contradict each other."""
        self._check_channels(channels)
        pretrain, warmup = self.training.pretrain, self.training.discriminator_warmup
        if pretrain and warmup:
            raise UsageError(
                f"--pretrain {pretrain} is for generators that start from scratch, "
                f"--discriminator_warmup {warmup} for pretrained ones: set one of them to 0"
            )
        if crop_size < self.smallest_side:
            raise UsageError(
                f"--crop_size {crop_size} is too small for --netD {self.discriminator.netD}, "
                f"which needs {self.smallest_side} pixels"
            )

    def _check_channels(self, channels: ChannelSettings) -> None:
        channels.check_residual(self.generator.residual)
        if channels.input_nc == channels.output_nc:
            return
        for flag, weight in (
            ("lambda_identity", self.losses.lambda_identity),
            ("lambda_consistency", self.losses.lambda_consistency),
            ("pretrain", float(self.training.pretrain)),
        ):
            if weight:
                raise UsageError(
                    f"--{flag} {as_typed(weight)}: this loss is undefined between --input_nc "
                    f"{channels.input_nc} and --output_nc {channels.output_nc}; give --{flag} 0"
                )

    def starting_from(self, names: Sequence[str]) -> Self:
        """Return the settings with a warm-up of the discriminators where `names` lack them.

        Fresh discriminators would teach trained generators nonsense in their first steps. Raises
        UsageError where the generators are to be pretrained, too.
        """
        if self.training.pretrain and any(name.startswith("generator") for name in names):
            raise UsageError(
                f"--pretrain {self.training.pretrain}: the generators of --init_weights are "
                "already trained: leave one of the two out"
            )
        if self.training.discriminator_warmup is not None or {*DISCRIMINATORS} <= {*names}:
            return self
        return replace(self, training=replace(self.training, discriminator_warmup=WARMUP))

    def networks_of(self, channels: ChannelSettings) -> "Sequence[nn.Module]":
        """Return networks that a checkpoint holds at least, by which its size is checked."""
        a, b, norm = channels.input_nc, channels.output_nc, self.networks.norm
        judged = "discriminator" in self._needs()
        made = [self.generator.build(a, b, norm)]
        return [*made, self.discriminator.build(b, norm)] if judged else made

    def probe(self, channels: ChannelSettings, batch_size: int, side: int) -> "Work":
        """Return the workload of a generator, which takes most of a step."""
        from cyclegan.recipes.cyclegan.recipe import probe

        return probe(self, channels, batch_size, side)

    def build(self, materials: "Materials") -> "Recipe":
        """Return the four networks with all that trains them."""
        from cyclegan.recipes.cyclegan.recipe import build

        return build(self, materials)

    def converter(self, saved: "Saved", styles: "Styles") -> "Converter":
        """Return one of the generators. Raises UsageError where a style is asked for."""
        from cyclegan.recipes.cyclegan.recipe import converter

        styles.refuse(saved.path)
        return converter(self, saved)
