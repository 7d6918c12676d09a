"""Settings of the generators; `build` imports torch, this module does not."""

from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.layers.settings import Norm
from cyclegan.strict import STRICT

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, config=STRICT)
class ResnetSettings:
    """The ResNet generator of CycleGAN."""

    netG: Literal["resnet"] = "resnet"
    """kind of generator: resnet, or resnet_9blocks and resnet_6blocks as the classic names them"""
    ngf: PositiveInt = 64
    """feature maps of the generator's first and last convolutions"""
    n_blocks: NonNegativeInt = 9
    """residual blocks: 9 for 256 px and more, 6 for 128 px"""
    dropout: bool = False
    """dropout in the residual blocks"""

    def build(self, input_nc: int, output_nc: int, norm: Norm) -> "nn.Module":
        """Return the network, its weights as torch draws them by default."""
        from cyclegan.generators.resnet import ResnetGenerator

        return ResnetGenerator(
            input_nc, output_nc, self.ngf, self.n_blocks, norm=norm, dropout=self.dropout
        )
