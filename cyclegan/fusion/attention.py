"""Attention: each place of the content takes the style of the places that fit it."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from cyclegan.fusion.adain import normalized
from cyclegan.layers.convolution import Convolution


class Attention(nn.Module):
    """Content maps (N, C, h, w), style maps (N, C, h', w') -> maps (N, C, h, w); it is trained.

    Park and Lee 2019, "Arbitrary Style Transfer with Style-Attentional Networks", section 3.2;
    likenesses are divided by the root of C, as Vaswani et al. 2017 do.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.join = (
            Convolution(channels, channels, 1) for _ in range(4)
        )

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        style = style.expand(len(content), -1, -1, -1)
        query = _places(self.query(normalized(content)))
        key, value = _places(self.key(normalized(style))), _places(self.value(style))
        seen = functional.scaled_dot_product_attention(query, key, value)
        return cast(Tensor, content + self.join(seen.transpose(1, 2).reshape(content.shape)))


def _places(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, h * w, C)."""
    return maps.flatten(2).transpose(1, 2)
