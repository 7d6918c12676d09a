"""Pictures to maps and back: the first layers of a frozen feature network, and their mirror."""

import math
from itertools import pairwise
from typing import Self, cast

import torch
from torch import Tensor, nn

from cyclegan.features.layered import LayeredNetwork
from cyclegan.layers.convolution import Convolution, FinalConvolution, ResizeConvolution
from cyclegan.layers.padding import ReflectionPad

_SIDE = 64  # pixels of the image whose maps are counted
WIDEST = 256  # feature maps of a stage, at most


class Encoder(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> maps (N, channels, H / scale, W / scale) of one layer.

    Nothing here is trained, and no gradient passes. Computed in the weights' type.
    """

    def __init__(self, network: LayeredNetwork, layer: str) -> None:
        super().__init__()
        count = network.layers.index(layer) + 1
        self.entry = network.entry
        self.stages = nn.Sequential(*(stage.module for stage in network.stages[:count]))
        self.eval()
        with torch.no_grad():
            maps = self.stages(self.entry(torch.zeros(1, 3, _SIDE, _SIDE)))
        self.channels: int = maps.shape[1]
        self.scale: int = _SIDE // maps.shape[2]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        dtype = next(self.stages.parameters()).dtype
        with torch.autocast(images.device.type, enabled=False):
            return cast(Tensor, self.stages(self.entry(images.to(dtype))))

    def train(self, mode: bool = True) -> Self:
        """It stays as it was trained: so do the statistics of its norms."""
        return super().train(False)


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
