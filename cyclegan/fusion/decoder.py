"""What makes pictures of an encoder's maps."""

import math
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from cyclegan.layers.convolution import Convolution, FinalConvolution, ResizeConvolution
from cyclegan.layers.padding import ReflectionPad

WIDEST = 256  # feature maps of a stage, at most


class Decoder(nn.Module):
    """Maps (N, channels, h, w) -> images (N, output_nc, h * scale, w * scale).

    They are in [-1, 1] where `bounded`; else somebody else brings them there.

    The encoder's mirror, as in Huang and Belongie 2017, section 5: sides double step by step,
    borders are reflected, and no norm takes away what the fusion gave to the maps.
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        output_nc: int = 3,
        width: int = 32,
        *,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        self.bounded = bounded
        widths = [min(WIDEST, width << level) for level in range(int(math.log2(scale)), -1, -1)]
        layers: list[nn.Module] = [
            *_convolved(channels, widths[0]),
            *_convolved(widths[0], widths[0]),
        ]
        for wide, narrow in pairwise(widths):
            layers += [ResizeConvolution(wide, narrow, bias=True), nn.ReLU(inplace=True)]
            layers += _convolved(narrow, narrow)
        layers += [ReflectionPad(1), FinalConvolution(widths[-1], output_nc, 3)]
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        made = cast(Tensor, self.layers(maps))
        return made.tanh() if self.bounded else made


def _convolved(channels: int, out: int) -> list[nn.Module]:
    return [ReflectionPad(1), Convolution(channels, out, 3), nn.ReLU(inplace=True)]
