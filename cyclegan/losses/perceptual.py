"""Content and style of pictures, and their distances."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.losses import PerceptualSettings, StyleKind

_TINY = 1e-5  # keeps the deviation's gradient finite where a feature is the same everywhere


def gram(maps: Tensor) -> Tensor:
    """Return Gram matrices (N, C, C) of maps (N, C, h, w): how much two features go together.

    Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks", equation 3, over
    h * w places and the root of C: with the 1 / C of `style`, layers count as in Johnson et al.
    2016, section 3.2, whatever the number of their places and features.
    """
    features = maps.flatten(2)
    channels, places = features.shape[1:]
    scale: float = places * channels**0.5
    return features @ features.transpose(1, 2) / scale


def statistics(maps: Tensor) -> Tensor:
    """Return mean and standard deviation (N, C, 2) of each feature of maps (N, C, h, w).

    Huang and Belongie 2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization", equation 13.
    """
    variance, mean = torch.var_mean(maps.flatten(2), dim=2, correction=0)
    return torch.stack([mean, (variance + _TINY).sqrt()], dim=2)


def _themselves(maps: Tensor) -> Tensor:
    return maps


def _squares(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the sum of squared differences of each image: (N, C, ...) twice -> (N,)."""
    return (made - wanted).square().flatten(1).sum(1)


def _squares_by_place(made: Tensor, wanted: Tensor) -> Tensor:
    """Return `_squares` of maps (N, C, h, w), a mean over places; `wanted` is scaled to fit."""
    if made.shape[2:] != wanted.shape[2:]:
        size = (made.shape[2], made.shape[3])
        wanted = functional.interpolate(wanted, size, mode="bilinear", align_corners=False)
    return _squares(made, wanted) / (made.shape[2] * made.shape[3])


@dataclass(frozen=True)
class Style:
    """One kind of style: the statistics of maps that are compared, and their distance."""

    of: Callable[[Tensor], Tensor]
    """maps (N, C, h, w) -> style representation (N, C, ...)"""
    squares: Callable[[Tensor, Tensor], Tensor] = _squares
    """of two of these: ||S - G||^2 per image, (N,)"""


#: The one table of kinds of style (`--style_kind`).
STYLES: dict[StyleKind, Style] = {
    "gram": Style(gram),
    "statistics": Style(statistics),
    # Of pictures whose places mean the same; textures lose their freedom.
    "maps": Style(_themselves, _squares_by_place),
}


Maps = Mapping[str, Tensor]
Look = Callable[[Tensor, Sequence[str]], Maps]


@dataclass(frozen=True)
class Perceptual:
    """A frozen network, and which of its layers are content and style."""

    look: Look
    """images (N, C, H, W) in [-1, 1] and names of layers -> their maps (N, C, h, w), by name"""
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    kind: Style
    """style representation"""
    smallest: int = 1
    """minimum image side in pixels"""
    kept: Mapping[tuple[str, int], tuple[Tensor, Maps]] = field(default_factory=dict)
    """cached content and style of fixed pictures"""

    @classmethod
    def build(cls, settings: PerceptualSettings, device: torch.device) -> "Perceptual":
        """Load the network, or the one that needs no download where its weights can't be had.

        Raises UserError where a file holds other weights, or the network has no such layer.
        """
        from cyclegan.features.table import layered_network

        network = layered_network(settings.loss_features, settings.feature_weights).to(device)
        content = network.chosen(settings.content_layers, "content_layers") or network.content
        style = network.chosen(settings.style_layers, "style_layers") or network.style

        def look(images: Tensor, layers: Sequence[str]) -> Maps:
            maps = network(images, layers)
            return {name: maps[name] * network.scale for name in layers}

        return cls(
            look, content, style, STYLES[settings.style_kind], network.smallest(content + style)
        )

    def maps(self, images: Tensor) -> Maps:
        """Return the maps of all content and style layers, in one pass."""
        return self.look(images, tuple(dict.fromkeys(self.content_layers + self.style_layers)))

    @torch.no_grad()
    def content_of(self, images: Tensor) -> Maps:
        """Return the content of fixed pictures, as `content` takes it."""
        return self._kept("content", images) or self.look(images, self.content_layers)

    @torch.no_grad()
    def style_of(self, images: Tensor) -> Maps:
        """Return the style of fixed pictures by layer, (N, C, ...), as `style` takes it."""
        known = self._kept("style", images)
        return known or self._styles(self.look(images, self.style_layers))

    def content(self, made: Maps, wanted: Maps) -> Tensor:
        """Return L_content = ||F(I) - F(G)||^2 of maps: a mean of squares, summed over the layers.

        Gatys et al. 2016, equation 1, and Johnson et al. 2016, section 3.2. A scalar.
        """
        each = [(made[name] - wanted[name]).square().mean() for name in self.content_layers]
        return torch.stack(each).sum()

    def style(self, made: Maps, wanted: Maps) -> Tensor:
        """Return L_style: 1 / N_i * ||F_i(S) - F_i(G)||^2 summed over layers i, a mean over images.

        `made` are maps, `wanted` is what `style_of` gave, of as many images or of one. F_i is what
        `kind` makes of layer i's maps, N_i their number. A scalar.
        """
        styles = self._styles(made)
        each = [
            (self.kind.squares(styles[name], wanted[name]) / made[name].shape[1]).mean()
            for name in self.style_layers
        ]
        return torch.stack(each).sum()

    def remembering(self, seen: dict[Hashable, tuple[Tensor, Maps]]) -> "Perceptual":
        """Return a copy that caches maps in `seen`, so that it looks at each picture once."""

        def look(images: Tensor, layers: Sequence[str]) -> Maps:
            key = (id(images), torch.is_grad_enabled(), tuple(layers))
            if key not in seen:  # with the images, or another tensor could come to have their id
                seen[key] = (images, self.look(images, layers))
            return seen[key][1]

        return replace(self, look=look)

    def keeping(
        self, *, content: Sequence[Tensor] = (), style: Sequence[Tensor] = ()
    ) -> "Perceptual":
        """Return a copy that keeps the content and the style of fixed pictures."""
        kept = {("content", id(one)): (one, self.content_of(one)) for one in content}
        kept |= {("style", id(one)): (one, self.style_of(one)) for one in style}
        return replace(self, kept=kept)

    def _kept(self, what: str, images: Tensor) -> Maps | None:
        found = self.kept.get((what, id(images)))
        return None if found is None else found[1]

    def _styles(self, maps: Maps) -> Maps:
        return {name: self.kind.of(maps[name]) for name in self.style_layers}
