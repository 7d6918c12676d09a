"""Settings of the generators, by the names that `--netG` takes."""

from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic.dataclasses import dataclass

from cyclegan.kinds import STRICT, Kind
from cyclegan.layers import Depth, Downsampling, Norm, Upsampling, Width
from cyclegan.parts import Parts

if TYPE_CHECKING:
    from torch import nn

# A convolution's input, its output and the normalised copy. Measured; a test holds it to peaks.
FULL_MAPS = 4.2
# The same of the U-Net: both halves, joined, normalised and convolved.
JOINED_MAPS = 10.5


@dataclass(frozen=True, config=STRICT)
class ResnetSettings:
    """The ResNet generator of CycleGAN."""

    netG: Literal["resnet"] = "resnet"
    """generator architecture: resnet (also the classic's resnet_9blocks and resnet_6blocks) or
    unet_transformer"""
    ngf: Width = 64
    """filters in the generator's first and last convolutions"""
    n_blocks: Depth = 9
    """residual blocks: 9 for 256 px and more, 6 for 128 px"""
    dropout: bool = False
    """dropout in the residual blocks"""
    upsampling: Upsampling = "transposed"
    """upsampling layers: transposed convolutions as in the classic, resize (resize, then convolve;
    no checkerboard artifacts), or antialiased (CUT's, with smooth upsampling first)"""
    downsampling: Downsampling = "strided"
    """downsampling layers: strided convolutions as in the classic, blurred (low-pass filtered
    first, against aliasing), or antialiased (CUT's: convolved at full size, then blurred; twice the
    memory)"""
    residual: bool = False
    """predict a residual that is added to the input image: content is kept from the start; A and B
    need equal channel counts"""
    separable: bool = False
    """depthwise separable convolutions in the residual blocks, as in MobileNets: for small student
    generators (cyclegan distill)"""

    @property
    def widest(self) -> int:
        """Channels of the maps at full size."""
        wide = "antialiased" in (self.upsampling, self.downsampling)
        return 2 * self.ngf if wide else self.ngf

    @property
    def multiple(self) -> int:
        """Pixels that image sides are a multiple of; sides are at least twice as long."""
        return 4

    @property
    def reach(self) -> int:
        """Receptive field to each side in pixels, norms apart; a multiple of 4."""
        return 8 * self.n_blocks + 24  # two convolutions a block, at a quarter of the size

    def bytes_per_pixel(self, input_nc: int, output_nc: int) -> float:
        """Return the peak memory of a conversion, in bytes for each pixel of the picture.

        The peak is in the first and last stages: float32 maps of the widest channels at full size.
        """
        return 4 * (FULL_MAPS * self.widest + 2 * (input_nc + output_nc))

    def build(self, input_nc: int, output_nc: int, norm: Norm) -> "nn.Module":
        """Return the network with torch's default initial weights."""
        from cyclegan.generators.resnet import ResnetGenerator

        return ResnetGenerator(
            input_nc,
            output_nc,
            self.ngf,
            self.n_blocks,
            norm=norm,
            dropout=self.dropout,
            upsampling=self.upsampling,
            downsampling=self.downsampling,
            residual=self.residual,
            separable=self.separable,
        )


@dataclass(frozen=True, config=STRICT)
class UnetTransformerSettings:
    """The U-Net with a transformer bottleneck, UVCGAN's generator."""

    netG: Literal["unet_transformer"] = "unet_transformer"
    """generator architecture: resnet (also the classic's resnet_9blocks and resnet_6blocks) or
    unet_transformer"""
    ngf: Width = 48
    """filters in the generator's first convolution"""
    n_blocks: Depth = 12
    """transformer blocks"""

    @property
    def dropout(self) -> bool:
        """False: the network has no dropout."""
        return False

    @property
    def residual(self) -> bool:
        """False: the image reaches the last layers as a map, it is not added to."""
        return False

    @property
    def widest(self) -> int:
        """Channels of the maps at full size."""
        return 2 * self.ngf

    @property
    def multiple(self) -> int:
        """Pixels that sides are a multiple of inside the network, which pads other sides."""
        return 16

    @property
    def reach(self) -> None:
        """None: the transformer sees the whole picture."""
        return None

    def bytes_per_pixel(self, input_nc: int, output_nc: int) -> float:
        """Return the peak memory of a conversion, in bytes for each pixel of the picture.

        The peak is where maps of the way down are joined to those of the way up, at full size.
        """
        return 4 * (JOINED_MAPS * self.ngf + 2 * (input_nc + output_nc))

    def build(self, input_nc: int, output_nc: int, norm: Norm) -> "nn.Module":
        """Return the network with torch's default initial weights."""
        from cyclegan.generators.unet_transformer import UnetTransformer

        return UnetTransformer(input_nc, output_nc, self.ngf, self.n_blocks, norm=norm)


#: The one table of generators. Names that the classic scripts use for a certain size stand for the
#: same kind and that size.
GENERATORS = Parts(
    "generators",
    Kind,
    {
        "resnet": Kind(ResnetSettings),
        "resnet_9blocks": Kind(ResnetSettings, {"n_blocks": 9}),
        "resnet_6blocks": Kind(ResnetSettings, {"n_blocks": 6}),
        "unet_transformer": Kind(UnetTransformerSettings),
    },
)

if TYPE_CHECKING:

    class GeneratorSettings(Protocol):
        """Settings that build a generator."""

        @property
        def netG(self) -> str: ...
        @property
        def dropout(self) -> bool: ...
        @property
        def residual(self) -> bool: ...
        @property
        def widest(self) -> int: ...
        @property
        def reach(self) -> int | None: ...
        @property
        def multiple(self) -> int: ...
        def bytes_per_pixel(self, input_nc: int, output_nc: int) -> float: ...
        def build(self, input_nc: int, output_nc: int, norm: Norm) -> nn.Module: ...
else:
    GeneratorSettings = Any  # of a kind in the table
