"""Networks with named layers, differentiable back to the images; and the plain one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.errors import UsageError, UserError, suggest
from cyclegan.features.network import FeatureNetwork, Seen, read_weights
from cyclegan.images import as_colours

SIDE = 224  # pixels a side, as all of these were trained
#: The weight and the bias of one convolution, by these names.
ConvolutionWeights = Mapping[str, Tensor]


class Affine(nn.Module):
    """Scale and shift of each of the three colours: (N, 3, H, W) -> the same shape."""

    def __init__(self, scale: Sequence[float], shift: Sequence[float]) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1))
        self.register_buffer("shift", torch.tensor(shift).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale + self.shift


@dataclass(frozen=True)
class Stage:
    """A named layer, and the modules that lead to it from the layer before."""

    name: str
    module: nn.Module
    """maps of the layer before -> maps of this one, (N, C, h, w)"""
    smallest: int
    """minimum image side in pixels"""


@dataclass(frozen=True)
class LayeredNetwork:
    """A frozen network as a chain of named layers, for images of any size."""

    name: str
    entry: nn.Module
    """(N, 3, H, W) in [-1, 1] -> the range that it was trained on"""
    stages: tuple[Stage, ...]
    content: tuple[str, ...]
    """default content layers"""
    style: tuple[str, ...]
    """default style layers"""
    compared: tuple[str, ...]
    """layers of the perceptual distance"""
    scale: float = 1.0
    """factor that scales its maps to a root mean square of about 2 on photographs and paintings, so
    that losses are comparable across networks"""
    origin: str = ""
    """the weights file, if given"""

    def __post_init__(self) -> None:
        for module in self.modules():
            module.eval().requires_grad_(False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all layers, from the image on."""
        return tuple(stage.name for stage in self.stages)

    def chosen(self, names: Sequence[str], flag: str) -> tuple[str, ...]:
        """Return `names` if all are layers of the network; `flag` is where a person gave them.

        Raises UsageError, naming the layers there are and the nearest one.
        """
        for name in names:
            if name not in self.layers:
                raise UsageError(
                    f"--{flag} {name}: {self.name} has no such layer{suggest(name, self.layers)}; "
                    f"choose from {', '.join(self.layers)}"
                )
        return tuple(names)

    def to(self, device: torch.device) -> "LayeredNetwork":
        """Move the network's weights to `device` and return the network."""
        for module in self.modules():
            module.to(device)
        return self

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Return maps (N, C, h, w) of `layers`, by name, of images (N, C, H, W) in [-1, 1].

        Gradients go back to the images; three channels of many are used. Everything is computed in
        the weights' type, also under autocast. Raises UserError where the images are too small for
        a layer.
        """
        wanted, maps = set(layers), {}
        self._check_size(images, layers)
        with torch.autocast(images.device.type, enabled=False):
            x = as_colours(images).expand(-1, 3, -1, -1)
            x = self.entry(x.to(next(self.stages[0].module.parameters()).dtype))
            for stage in self.stages:
                if not wanted:
                    break
                x = stage.module(x)
                if stage.name in wanted:
                    maps[stage.name] = x
                    wanted.remove(stage.name)
        return {name: maps[name] for name in layers}

    def channels(self, layer: str) -> int:
        """Return the number of channels of a layer's maps."""
        (stage,) = (stage for stage in self.stages if stage.name == layer)
        convolutions = [one for one in stage.module.modules() if isinstance(one, nn.Conv2d)]
        return convolutions[-1].out_channels

    def smallest(self, layers: Sequence[str]) -> int:
        """Return the image side, in pixels, that all of `layers` need at least."""
        return max((stage.smallest for stage in self.stages if stage.name in layers), default=1)

    def _check_size(self, images: Tensor, layers: Sequence[str]) -> None:
        height, width = images.shape[2:]
        for stage in self.stages:
            if stage.name in layers and min(height, width) < stage.smallest:
                raise UserError(
                    f"pictures of {width}x{height} pixels are too small for layer {stage.name} of "
                    f"{self.name}, which needs {stage.smallest} a side: give larger ones, or "
                    "earlier layers"
                )

    def modules(self) -> tuple[nn.Module, ...]:
        """Return all modules that hold weights or buffers."""
        return (self.entry, *(stage.module for stage in self.stages))

    def load(self, found: Sequence[ConvolutionWeights], origin: Path) -> None:
        """Load all convolutions in order. Raises UserError for those of another network."""
        all_layers = (layer for part in self.modules() for layer in part.modules())
        layers = [layer for layer in all_layers if isinstance(layer, nn.Conv2d)]
        if [layer.weight.shape for layer in layers] != [
            weights["weight"].shape for weights in found
        ]:
            raise foreign(origin, self.name)
        for layer, weights in zip(layers, found, strict=True):
            layer.load_state_dict(weights)


def read_convolutions(path: Path, name: str) -> list[ConvolutionWeights]:
    """Return a state dict's convolutions in the file's order; `name` is the network expected.

    Raises UserError where the file can't be read or holds none.
    """
    content: Any = read_weights(path, mapped=True)
    if not isinstance(content, Mapping):
        raise foreign(path, name)
    found: list[ConvolutionWeights] = []
    for key, weight in content.items():
        if isinstance(weight, Tensor) and weight.ndim == 4:
            bias = content.get(str(key).removesuffix("weight") + "bias")
            if not isinstance(bias, Tensor) or bias.shape != weight.shape[:1] or bias.is_meta:
                raise foreign(path, name)
            found.append({"weight": weight, "bias": bias})
    if not found:
        raise foreign(path, name)
    return found


def foreign(path: Path, name: str) -> UserError:
    """Return the error for a file that holds other weights."""
    return UserError(f"{path}: not the weights of {name}")


def given(network: LayeredNetwork, weights: object) -> LayeredNetwork:
    """Return the network with the file of its weights as its origin, if there was one."""
    return network if weights is None else replace(network, origin=str(weights))


def as_measure(network: LayeredNetwork) -> FeatureNetwork:
    """Return the network for the quality metrics: vectors are the means of the last layer."""
    last = network.layers[-1]

    def look(images: Tensor) -> Seen:
        maps = network(images, (*network.compared, last))
        return Seen(maps[last].mean(dim=(2, 3)), tuple(maps[name] for name in network.compared))

    def move(device: torch.device) -> None:
        for module in network.modules():
            module.to(device)

    return FeatureNetwork(network.name, SIDE, look, network.origin, has_maps=True, move=move)


WIDTHS = (64, 128, 256, 512, 64)
_SEED = 0  # of the random weights, which are the same everywhere
_NAMES = tuple(f"conv{number + 1}" for number in range(len(WIDTHS)))


def plain(weights: Path | None = None) -> LayeredNetwork:
    """Return conv1 to conv5: 3x3 convolutions with ReLU, and 2x2 max pooling between them.

    Without `weights` they are random, which is enough for textures (Ustyuzhaninov et al. 2016,
    "Texture Synthesis Using Shallow Convolutional Networks with Random Filters"). Raises UserError
    where `weights` is no file of such convolutions.
    """
    if weights is None:
        network = blank_plain(scale=4.0)
        network.load(_random(), Path("plain"))
        return network
    network = blank_plain()
    network.load(read_convolutions(weights, "plain"), weights)
    return given(network, weights)


def blank_plain(scale: float = 1.0) -> LayeredNetwork:
    """Return the plain network before weights are loaded."""
    return LayeredNetwork(
        "plain",
        Affine([1.0] * 3, [0.0] * 3),
        _stages(),
        content=("conv4",),
        style=_NAMES,
        compared=_NAMES[1:4],
        scale=scale,
    )


def _random() -> list[ConvolutionWeights]:
    """Return random weights that keep values as large from layer to layer. He et al. 2015."""
    generator = torch.Generator().manual_seed(_SEED)
    made: list[ConvolutionWeights] = []
    for seen, width in pairwise((3, *WIDTHS)):
        weight = torch.randn(width, seen, 3, 3, generator=generator) * (2 / (seen * 9)) ** 0.5
        made.append({"weight": weight, "bias": torch.zeros(width)})
    return made


def _stages() -> tuple[Stage, ...]:
    stages = []
    for number, (seen, width) in enumerate(pairwise((3, *WIDTHS))):
        before = [nn.MaxPool2d(2)] if number else []
        layers = (*before, nn.Conv2d(seen, width, 3, padding=1), nn.ReLU(inplace=True))
        stages.append(Stage(_NAMES[number], nn.Sequential(*layers), 2**number))
    return tuple(stages)
