"""What sees content and style: the first layers of a frozen feature network."""

from typing import Self, cast

import torch
from torch import Tensor, nn

from cyclegan.features.layered import LayeredNetwork

_SIDE = 64  # pixels of the image whose maps are counted


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
