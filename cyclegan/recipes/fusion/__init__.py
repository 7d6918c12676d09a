"""Settings of the fusion recipe: a network that takes on any picture's style."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic.dataclasses import dataclass

from cyclegan.features import LayeredName
from cyclegan.generators import FULL_MAPS
from cyclegan.kinds import STRICT
from cyclegan.layers import ChannelSettings, Norm, Width
from cyclegan.losses import PerceptualSettings, StyleLossSettings

if TYPE_CHECKING:
    from torch import nn

    from cyclegan.execution.choice import Work
    from cyclegan.recipes.materials import Converter, Materials, Saved, Styles
    from cyclegan.training.step import Recipe


FusionName = Literal["adain", "wct", "attention"]
_WIDEST = 64  # feature maps of VGG-19 at full size


@dataclass(frozen=True, config=STRICT)
class FusionNetworkSettings:
    """Fusion of content and style features, and the decoder."""

    fusion: FusionName = "adain"
    """style fusion layer: adain (mean and standard deviation per channel), wct (whitening and
    colouring, feature covariance) or attention (learned: each position attends to matching
    style)"""
    fusion_layer: str = ""
    """layer of loss_features whose maps are fused; by default relu4_1 of vgg19, block2 of
    efficientnet-lite0 or conv3 of plain"""
    decoder_width: Width = 32
    """channels of the decoder's last stage; doubled in each stage before it"""
    match_colors: bool = False
    """match the output's colour mean and covariance to the style's: exact for any painting, while a
    decoder alone tends towards those of its training paintings"""

    @property
    def widest(self) -> int:
        """Channels of the maps at full size."""
        return max(_WIDEST, self.decoder_width)


@dataclass(frozen=True, config=STRICT)
class Blueprint:
    """Settings of a fusion network, as the converter needs them of a generator.

    All its weights lie in the checkpoint, the encoder's too.
    """

    settings: FusionNetworkSettings
    features: LayeredName
    prepared: bool
    """whether a first layer prepares the colours"""
    multiple: int
    """image pixels per pixel of the fused maps"""
    netG: Literal["fusion"] = "fusion"
    dropout: bool = False
    residual: bool = False
    reach: None = None
    """statistics are global"""

    @property
    def widest(self) -> int:
        """Channels of the maps at full size."""
        return self.settings.widest

    def bytes_per_pixel(self, input_nc: int, output_nc: int) -> float:
        """Return the peak memory of a conversion, in bytes for each pixel of the picture."""
        return 4 * (FULL_MAPS * self.widest + 2 * (input_nc + output_nc))

    def build(self, input_nc: int, output_nc: int, norm: Norm) -> "nn.Module":
        """Return the network, its weights not loaded yet."""
        from cyclegan.recipes.fusion.network import blank_network

        return blank_network(self.features, self.settings, output_nc, prepared=self.prepared)


@dataclass(frozen=True, config=STRICT)
class FusionSettings:
    """A network that takes on any picture's style."""

    model: Literal["fusion"] = "fusion"
    """model to train: a network for arbitrary style transfer"""
    losses: StyleLossSettings = field(default_factory=StyleLossSettings)
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)
    fusion: FusionNetworkSettings = field(default_factory=FusionNetworkSettings)

    both_ways: ClassVar[bool] = False
    directions: ClassVar[tuple[str, ...]] = ("AtoB",)
    needs_targets: ClassVar[bool] = True
    given_style: ClassVar[bool] = True
    fixed: ClassVar[tuple[str, ...]] = ("fusion", "perceptual.loss_features")
    described: ClassVar[Mapping[str, Any]] = {"fusion": Blueprint}
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
        """Do nothing: no setting can contradict another before the networks are there."""

    def starting_from(self, names: Sequence[str]) -> Self:
        """Return the same settings: nothing depends on what else starts fresh."""
        return self

    def networks_of(self, channels: ChannelSettings) -> "Sequence[nn.Module]":
        """Return no network: what the encoder holds is known by its weights alone."""
        return ()

    def probe(self, channels: ChannelSettings, batch_size: int, side: int) -> "Work":
        """Return the workload of the whole network."""
        from cyclegan.recipes.fusion.recipe import probe

        return probe(self, channels, batch_size, side)

    def build(self, materials: "Materials") -> "Recipe":
        """Return the network with all that trains it."""
        from cyclegan.recipes.fusion.recipe import build

        return build(self, materials)

    def converter(self, saved: "Saved", styles: "Styles") -> "Converter":
        """Return the network in the given styles. Raises UsageError where there is none."""
        from cyclegan.recipes.fusion.recipe import converter

        return converter(self, saved, styles)
