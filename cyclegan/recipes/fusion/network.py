"""The fusion network: encoder, decoder, matched colours; and the network with its styles given."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.features import LayeredName
from cyclegan.features.layered import LayeredNetwork
from cyclegan.features.table import BLANK
from cyclegan.layers.convolution import Convolution, FinalConvolution, ResizeConvolution
from cyclegan.layers.padding import ReflectionPad, repeat_border
from cyclegan.recipes.fusion import FusionNetworkSettings
from cyclegan.recipes.fusion.fusions import FUSIONS

_SIDE = 64  # pixels of the image whose maps are counted
WIDEST = 256  # feature maps of a stage, at most


class Encoder(nn.Module):
    """Frozen encoder: images (N, 3, H, W) in [-1, 1] -> maps (N, channels, H / scale, W / scale).

    The maps are those of one layer. Nothing here is trained, and no gradient passes. Computed in
    the weights' type.
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
        """Stay in eval mode, so that the statistics of the norms stay as they were trained."""
        return super().train(False)


class Decoder(nn.Module):
    """Decoder: maps (N, channels, h, w) -> images (N, output_nc, h * scale, w * scale).

    The images are in [-1, 1] where `bounded`; otherwise the caller brings them there.

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


_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114  # of light, Rec. 601
# Light, blue less light and red less light, of red, green and blue; and the way back.
_APART = ((_RED, _GREEN, _BLUE), (-_RED, -_GREEN, 1 - _BLUE), (1 - _RED, -_GREEN, -_BLUE))
_TOGETHER = ((1.0, 0.0, 1.0), (1.0, -_BLUE / _GREEN, -_RED / _GREEN), (1.0, 1.0, 0.0))
_TINY = 1e-4  # variance that is added: in a flat picture there is nothing to stretch
_ROUNDS = 8  # what is cut at the range's ends changes the statistics

#: Where content and style are joined, unless another layer is asked for.
LAYERS: Mapping[str, str] = {
    "vgg19": "relu4_1",  # Huang and Belongie 2017, section 5
    "efficientnet-lite0": "block2",  # later ones have lost the colours
    "plain": "conv3",
}

#: How much of the fused maps is taken: a number in [0, 1], or one for each place, (N, 1, H, W).
Share = float | Tensor


class FusionNetwork(nn.Module):
    """A frozen encoder, a fusion module and a decoder. Huang and Belongie 2017, figure 2.

    With `match_colors` the decoded image takes on the statistics of the styles' colours, which are
    known: the decoder is left to make shapes and strokes.
    """

    def __init__(
        self, encoder: Encoder, fusion: nn.Module, decoder: Decoder, *, match_colors: bool = False
    ) -> None:
        super().__init__()
        self.encoder, self.fusion, self.decoder = encoder, fusion, decoder
        self.match_colors = match_colors

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (N, 1 or 3, H, W) in [-1, 1] to maps (N, C, h, w).

        Sides are padded to multiples of the encoder's scale, and to two of them at least.
        """
        return cast(Tensor, self.encoder(self._padded(images.expand(-1, 3, -1, -1))))

    def fuse(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        weights: Tensor | None = None,
        share: Share = 1.0,
    ) -> Tensor:
        """Fuse content maps (N, C, h, w) with maps (N or 1, C, h', w') of each style: (N, C, h, w).

        The results of several styles are averaged by `weights` (styles,), or equally. A `share` by
        place is scaled to the maps.
        """
        fused = _mixed([self.fusion(content, style) for style in styles], weights)
        if isinstance(share, Tensor):
            size = (content.shape[2], content.shape[3])
            share = functional.interpolate(share.to(content), size, mode="area")
        return content + (fused - content) * share

    def decode(self, maps: Tensor, size: Sequence[int]) -> Tensor:
        """Decode maps (N, C, h, w) to images (N, 3, *size) in [-1, 1]; the padding is cut off."""
        return cast(Tensor, self.decoder(maps)[:, :, : size[0], : size[1]])

    def forward(
        self,
        images: Tensor,
        styles: Sequence[Tensor],
        weights: Sequence[float] = (),
        strength: float = 1.0,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Paint images (N, 3, H, W) in the styles of others (N or 1, 3, H', W'); all in [-1, 1].

        `strength` lies between the images as the decoder makes them (0) and the styles' (1). `mask`
        (N or 1, 1, H, W) in [0, 1] says where: outside, the images are as they were.
        """
        maps = [self.encode(style) for style in styles]
        share: Share = strength if mask is None else strength * mask
        parts = torch.tensor(weights) if weights else None
        fused = self.fuse(self.encode(images), maps, parts, share)
        made = self.decode(fused, images.shape[2:])
        if self.match_colors:
            wanted = _mixed([colors_of(style) for style in styles], parts)
            made = recolored(made, torch.lerp(colors_of(images, mask), wanted, strength), mask)
        return made if mask is None else torch.lerp(images, made, mask.expand_as(made))

    def _padded(self, images: Tensor) -> Tensor:
        scale = self.encoder.scale
        height, width = (max(2, -(-side // scale)) * scale for side in images.shape[2:])
        margins = (0, width - images.shape[3], 0, height - images.shape[2])
        return repeat_border(images, *margins) if any(margins) else images


def fusion_network(
    features: LayeredNetwork, settings: FusionNetworkSettings, output_nc: int
) -> FusionNetwork:
    """Make the network on the layers of `features`; torch draws decoder and fusion module.

    Raises UsageError where there is no such layer.
    """
    wanted = settings.fusion_layer or LAYERS[features.name]
    (layer,) = features.chosen((wanted,), "fusion_layer")
    encoder = Encoder(features, layer)
    fusion = FUSIONS[settings.fusion](encoder.channels)
    matched = settings.match_colors and output_nc == 3
    width = settings.decoder_width
    decoder = Decoder(encoder.channels, encoder.scale, output_nc, width, bounded=not matched)
    return FusionNetwork(encoder, fusion, decoder, match_colors=matched)


def blank_network(
    features: LayeredName, settings: FusionNetworkSettings, output_nc: int, *, prepared: bool
) -> FusionNetwork:
    """Make the network on layers whose weights are not loaded; `prepared` as of a `Blueprint`."""
    return fusion_network(BLANK[features](prepared), settings, output_nc)


class StyledNetwork(nn.Module):
    """A fusion network with its styles given: images (N, 3, H, W) -> the same shape, in [-1, 1].

    The styles' maps and statistics are made once.
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
            if network.match_colors:
                self.register_buffer(f"colors{number}", colors_of(style))

    @property
    def styles(self) -> list[Tensor]:
        """Maps (1, C, h', w') of each style."""
        return self._each("style")

    def _each(self, kind: str) -> list[Tensor]:
        return [kept for name, kept in self.named_buffers(recurse=False) if name.startswith(kind)]

    def forward(self, images: Tensor) -> Tensor:
        maps = self.network.encode(images)
        fused = self.network.fuse(maps, self.styles, self.shares)
        made = self.network.decode(fused.to(images.dtype), images.shape[2:])
        if self.network.match_colors:
            made = recolored(made, _mixed(self._each("colors"), self.shares))
        return made


def _mixed(each: Sequence[Tensor], weights: Tensor | None) -> Tensor:
    """Return the mean over styles of tensors (N, ...), by `weights` (styles,) or equally."""
    made = torch.stack([*each])
    parts = torch.ones(len(each)) if weights is None else weights
    return torch.einsum("s,s...->...", (parts / parts.sum()).to(made), made)


def colors_of(images: Tensor, where: Tensor | None = None) -> Tensor:
    """Return statistics (N, 3, 4) of light and two colour differences of images (N, 1 or 3, H, W).

    Means, beside the lower triangular root of the covariance. `where` (N or 1, 1, H, W) in [0, 1]
    says which places count.
    """
    values = _apart(images.float().expand(-1, 3, -1, -1))
    counts = torch.ones_like(values[:, :1]) if where is None else where.to(values).flatten(2)
    counts = counts / counts.sum(2, keepdim=True).clamp_min(_TINY)
    mean = (values * counts).sum(2, keepdim=True)
    centred = values - mean
    return torch.cat([mean, _root(centred * counts @ centred.transpose(1, 2))], dim=2)


def recolored(images: Tensor, wanted: Tensor, where: Tensor | None = None) -> Tensor:
    """Give images (N, 3, H, W) in [-1, 1] the mean and covariance of colours of `wanted`.

    `wanted` (N or 1, 3, 4) is what `colors_of` gives; where values reach the range's ends it is met
    nearly. What is lighter stays lighter. Reinhard et al. 2001, "Color Transfer between Images",
    and Hertzmann 2001, "Image Analogies", section 3.4, of all three channels together.
    """
    together = torch.tensor(_TOGETHER, device=images.device)
    with torch.autocast(images.device.type, enabled=False):
        images = images.float()
        for _ in range(_ROUNDS):
            own = colors_of(images, where)
            white = _divided(own[:, :, 1:], _apart(images) - own[:, :, :1])
            colors = together @ (wanted[:, :, 1:] @ white + wanted[:, :, :1])
            images = colors.view_as(images).clamp(-1, 1)
    return images


def _apart(images: Tensor) -> Tensor:
    """Split (N, 3, H, W) into light and two colour differences of each place, (N, 3, H * W)."""
    return torch.tensor(_APART, device=images.device) @ images.flatten(2)


def _root(covariance: Tensor) -> Tensor:
    """Return the lower triangular L (N, 3, 3) with L L^T = covariance; written out, for export."""
    (a, _, _), (b, d, _), (c, e, f) = (row.unbind(1) for row in covariance.unbind(1))
    none = torch.zeros_like(a)
    first = (a + _TINY).sqrt()
    second, third = b / first, c / first
    middle = (d - second.square() + _TINY).clamp_min(_TINY).sqrt()
    low = (e - third * second) / middle
    last = (f - third.square() - low.square() + _TINY).clamp_min(_TINY).sqrt()
    rows = [(first, none, none), (second, middle, none), (third, low, last)]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def _divided(root: Tensor, values: Tensor) -> Tensor:
    """Return the inverse of a lower triangular root (N, 3, 3) times values (N, 3, places)."""
    x, y, z = values.unbind(1)
    first = x / root[:, 0, :1]
    second = (y - root[:, 1, :1] * first) / root[:, 1, 1:2]
    third = (z - root[:, 2, :1] * first - root[:, 2, 1:2] * second) / root[:, 2, 2:]
    return torch.stack([first, second, third], 1)
