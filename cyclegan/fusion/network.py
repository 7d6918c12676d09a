"""The network that gives any picture any other one's style."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.fusion.decoder import Decoder
from cyclegan.fusion.encoder import Encoder

#: How much of the fused maps is taken: a number in [0, 1], or one for each place, (N, 1, H, W).
Share = float | Tensor


class FusionNetwork(nn.Module):
    """A frozen encoder, a fusion module and a decoder. Huang and Belongie 2017, figure 2."""

    def __init__(self, encoder: Encoder, fusion: nn.Module, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.fusion, self.decoder = encoder, fusion, decoder

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, 1 or 3, H, W) in [-1, 1] -> maps (N, C, h, w).

        Sides are lengthened to multiples of the encoder's scale, and two of them at least.
        """
        return cast(Tensor, self.encoder(self._padded(images.expand(-1, 3, -1, -1))))

    def fuse(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        weights: Tensor | None = None,
        share: Share = 1.0,
    ) -> Tensor:
        """Content maps (N, C, h, w), and maps (N or 1, C, h', w') of each style -> (N, C, h, w).

        Of several styles it is the mean of what each makes, by `weights` (styles,), or as much of
        each. A `share` by place is scaled to the maps.
        """
        made = torch.stack([self.fusion(content, style) for style in styles])
        parts = torch.ones(len(styles)) if weights is None else weights
        fused = torch.einsum("s,snchw->nchw", (parts / parts.sum()).to(made), made)
        if isinstance(share, Tensor):
            size = (content.shape[2], content.shape[3])
            share = functional.interpolate(share.to(content), size, mode="area")
        return content + (fused - content) * share

    def decode(self, maps: Tensor, size: Sequence[int]) -> Tensor:
        """Maps (N, C, h, w) -> images (N, 3, *size) in [-1, 1]: what was lengthened is cut off."""
        return cast(Tensor, self.decoder(maps)[:, :, : size[0], : size[1]])

    def forward(
        self,
        images: Tensor,
        styles: Sequence[Tensor],
        weights: Sequence[float] = (),
        strength: float = 1.0,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Images (N, 3, H, W) in the styles (N or 1, 3, H', W') of other ones; all in [-1, 1].

        `strength` lies between the images as the decoder makes them (0) and the styles' (1).
        `mask` (N or 1, 1, H, W) in [0, 1] says where: outside, the images are as they were.
        """
        maps = [self.encode(style) for style in styles]
        share: Share = strength if mask is None else strength * mask
        parts = torch.tensor(weights) if weights else None
        fused = self.fuse(self.encode(images), maps, parts, share)
        made = self.decode(fused, images.shape[2:])
        return made if mask is None else torch.lerp(images, made, mask.expand_as(made))

    def _padded(self, images: Tensor) -> Tensor:
        scale = self.encoder.scale
        height, width = (max(2, -(-side // scale)) * scale for side in images.shape[2:])
        margins = (0, width - images.shape[3], 0, height - images.shape[2])
        return functional.pad(images, margins, mode="replicate") if any(margins) else images


class Painted(nn.Module):
    """A fusion network with its styles given: images (N, 3, H, W) -> the same, in [-1, 1].

    The styles' maps are made once.
    """

    def __init__(
        self, network: FusionNetwork, styles: Sequence[Tensor], weights: Sequence[float] = ()
    ) -> None:
        super().__init__()
        self.network = network
        self.shares: Tensor
        self.register_buffer("shares", torch.tensor(weights or [1.0] * len(styles)))
        for number, style in enumerate(styles):
            self.register_buffer(f"style{number}", network.encode(style))

    @property
    def styles(self) -> list[Tensor]:
        """Maps (1, C, h', w') of each style."""
        return [maps for name, maps in self.named_buffers(recurse=False) if name != "shares"]

    def forward(self, images: Tensor) -> Tensor:
        maps = self.network.encode(images)
        fused = self.network.fuse(maps, self.styles, self.shares)
        return self.network.decode(fused.to(images.dtype), images.shape[2:])
