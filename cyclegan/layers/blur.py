"""Halving and doubling with a fixed blur, as a layer of its own beside the convolution."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers.padding import reflect, repeat_border


class BlurPool(nn.Module):
    """Blur with [1 2 1] / 4 both ways at every second pixel; reflection padding.

    (N, C, H, W) -> (N, C, H/2, W/2), in the input's type; H and W even. Zhang 2019, "Making
    Convolutional Networks Shift-Invariant Again".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filt: Tensor
        self.register_buffer("filt", _kernel((1, 2, 1), channels) / 16)

    def forward(self, input: Tensor) -> Tensor:
        return self.blur(reflect(input, 1))

    def blur(self, padded: Tensor) -> Tensor:
        """What comes out, of an input that has its borders."""
        return functional.conv2d(
            padded, self.filt.to(padded.dtype), stride=2, groups=len(self.filt)
        )


class BlurUpsample(nn.Module):
    """Enlarge by two with [1 3 3 1] / 4 both ways; the border's pixels are repeated.

    (N, C, H, W) -> (N, C, 2H, 2W), in the input's type. Same paper.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filt: Tensor
        self.register_buffer("filt", _kernel((1, 3, 3, 1), channels) / 16)

    def forward(self, input: Tensor) -> Tensor:
        return self.spread(repeat_border(input, 1, 1, 1, 1), (3, 3))

    def spread(self, padded: Tensor, cut: tuple[int, int]) -> Tensor:
        """What comes out, of an input that has its borders, less `cut` rows and columns a side."""
        filt = self.filt.to(padded.dtype)
        return functional.conv_transpose2d(padded, filt, None, 2, cut, groups=len(filt))


def _kernel(row: Sequence[float], channels: int) -> Tensor:
    """(channels, 1, k, k)"""
    one = torch.tensor(row, dtype=torch.float32)
    return torch.outer(one, one).expand(channels, 1, -1, -1).contiguous()
