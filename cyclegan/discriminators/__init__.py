"""Settings of the discriminators, by the names that `--netD` takes."""

from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic.dataclasses import dataclass

from cyclegan.features import LayeredName
from cyclegan.kinds import STRICT, Kind
from cyclegan.layers import Halvings, Norm, Width
from cyclegan.parts import Parts

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, config=STRICT)
class _CommonSettings:
    """Settings of every kind of discriminator."""

    netD: str = ""
    """discriminator architecture: basic (70x70 PatchGAN), n_layers (PatchGAN of any depth),
    multiscale (PatchGANs at several scales), pixel or projected (PatchGAN plus heads on frozen
    features)"""
    ndf: Width = 64
    """filters in the discriminator's first convolution"""
    spectral_norm: bool = False
    """apply spectral normalisation to the discriminator"""


@dataclass(frozen=True, config=STRICT)
class BasicSettings(_CommonSettings):
    """The 70x70 PatchGAN."""

    netD: Literal["basic"] = "basic"

    @property
    def smallest_side(self) -> int:
        """Shortest image side, in pixels, that yields a score."""
        return NLayersSettings().smallest_side

    def build(self, input_nc: int, norm: Norm) -> "nn.Module":
        """Return the network with torch's default initial weights."""
        return NLayersSettings(ndf=self.ndf, spectral_norm=self.spectral_norm).build(input_nc, norm)


@dataclass(frozen=True, config=STRICT)
class NLayersSettings(_CommonSettings):
    """A PatchGAN of any depth."""

    netD: Literal["n_layers"] = "n_layers"
    n_layers_D: Halvings = 3
    """stride-2 convolutions; 3 is the 70x70 PatchGAN"""

    @property
    def smallest_side(self) -> int:
        """Shortest image side, in pixels, that yields a score."""
        return 3 << self.n_layers_D

    def build(self, input_nc: int, norm: Norm) -> "nn.Module":
        """Return the network with torch's default initial weights."""
        from cyclegan.discriminators.patch import PatchDiscriminator

        network = PatchDiscriminator(input_nc, self.ndf, self.n_layers_D, norm=norm)
        return _normalized(network, spectral=self.spectral_norm)


@dataclass(frozen=True, config=STRICT)
class MultiscaleSettings(_CommonSettings):
    """PatchGANs at several scales of the image."""

    netD: Literal["multiscale"] = "multiscale"
    n_layers_D: Halvings = 3
    """stride-2 convolutions; 3 is the 70x70 PatchGAN"""
    n_scales: Halvings = 2
    """number of scales, each half the previous one"""

    @property
    def smallest_side(self) -> int:
        """Shortest image side, in pixels, that yields a score."""
        return 3 << (self.n_layers_D + self.n_scales - 1)

    def build(self, input_nc: int, norm: Norm) -> "nn.Module":
        """Return the network with torch's default initial weights."""
        from cyclegan.discriminators.patch import MultiscaleDiscriminator

        network = MultiscaleDiscriminator(
            input_nc, self.ndf, self.n_layers_D, self.n_scales, norm=norm
        )
        return _normalized(network, spectral=self.spectral_norm)


@dataclass(frozen=True, config=STRICT)
class PixelSettings(_CommonSettings):
    """A 1x1 PatchGAN, which classifies each pixel independently."""

    netD: Literal["pixel"] = "pixel"

    @property
    def smallest_side(self) -> int:
        """Shortest image side, in pixels, that yields a score."""
        return 1

    def build(self, input_nc: int, norm: Norm) -> "nn.Module":
        """Return the network with torch's default initial weights."""
        from cyclegan.discriminators.patch import PixelDiscriminator

        network = PixelDiscriminator(input_nc, self.ndf, norm=norm)
        return _normalized(network, spectral=self.spectral_norm)


@dataclass(frozen=True, config=STRICT)
class ProjectedSettings(_CommonSettings):
    """A PatchGAN plus discriminator heads on feature maps of a frozen network."""

    netD: Literal["projected"] = "projected"
    spectral_norm: bool = False
    """apply spectral normalisation to the PatchGAN, as always to the heads"""
    projection: LayeredName = "efficientnet-lite1"
    """frozen backbone of the heads"""

    @property
    def smallest_side(self) -> int:
        """Shortest image side, in pixels, that yields a score."""
        return BasicSettings().smallest_side

    def build(self, input_nc: int, norm: Norm) -> "nn.Module":
        """Return the network with torch's default initial weights."""
        import torch

        from cyclegan.discriminators.patch import ProjectedDiscriminator
        from cyclegan.features.table import LAYERED

        patch = BasicSettings(ndf=self.ndf, spectral_norm=self.spectral_norm)
        with torch.device("cpu"):  # also where only shapes are asked for: it has weights to load
            features = LAYERED[self.projection](None)
        return ProjectedDiscriminator(patch.build(input_nc, norm), features)


def _normalized(network: "nn.Module", *, spectral: bool) -> "nn.Module":
    from cyclegan.layers.normalization import with_spectral_norm

    return with_spectral_norm(network) if spectral else network


#: The one table of discriminators.
DISCRIMINATORS = Parts(
    "discriminators",
    Kind,
    {
        "basic": Kind(BasicSettings),
        "n_layers": Kind(NLayersSettings),
        "multiscale": Kind(MultiscaleSettings),
        "pixel": Kind(PixelSettings),
        "projected": Kind(ProjectedSettings),
    },
)

if TYPE_CHECKING:

    class DiscriminatorSettings(Protocol):
        """Settings that build a discriminator."""

        @property
        def netD(self) -> str: ...
        @property
        def smallest_side(self) -> int: ...
        def build(self, input_nc: int, norm: Norm) -> nn.Module: ...
else:
    DiscriminatorSettings = Any  # of a kind in the table
