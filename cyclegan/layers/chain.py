"""Sequence of layers that can recompute cheap results in backward instead of keeping them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cyclegan.layers import Recompute
from cyclegan.layers.normalization import InstanceNorm

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


class Chain(nn.Sequential):
    """A sequence that can recompute in backward what lies between its convolutions.

    `recompute` "light" keeps the outputs of convolutions and recomputes norms, activations and
    paddings; "full" recomputes the composite layers (residual blocks) too. Chen et al. 2016,
    "Training Deep Nets with Sublinear Memory Cost".
    """

    recompute: Recompute = "off"

    def forward(self, input: Tensor) -> Tensor:
        if self.recompute == "off" or not torch.is_grad_enabled():
            return _run(list(self), input)
        for layers in _segments(self):
            if self._twice(layers):
                input = checkpoint(
                    _run, layers, input, use_reentrant=False, preserve_rng_state=_draw(layers)
                )
            else:
                input = _run(layers, input)
        return input

    def _twice(self, layers: Sequence[nn.Module]) -> bool:
        if any(isinstance(part, nn.BatchNorm2d) for layer in layers for part in layer.modules()):
            return False  # its running statistics would move twice
        if len(layers) == 1:
            return self.recompute == "full" and any(True for _ in layers[0].children())
        # An activation in place, right behind a convolution, would spoil what is kept.
        fresh = isinstance(layers[0], InstanceNorm | nn.ReflectionPad2d)
        return fresh and isinstance(layers[-1], _CONVOLUTIONS)


def recompute(network: nn.Module, how: Recompute) -> None:
    """Set how the chains of `network` recompute; with "full", only the outermost ones do."""
    for module in network.modules():
        if isinstance(module, Chain):
            module.recompute = "off" if how == "full" else how
    for module in network.children():
        if isinstance(module, Chain):
            module.recompute = how


def _segments(layers: nn.Sequential) -> Iterator[list[nn.Module]]:
    """Yield runs of plain layers that end in a convolution, and composite layers by themselves."""
    segment: list[nn.Module] = []
    for layer in layers:
        composite = any(True for _ in layer.children())
        if composite and segment:
            yield segment
            segment = []
        segment.append(layer)
        if composite or isinstance(layer, _CONVOLUTIONS):
            yield segment
            segment = []
    if segment:
        yield segment


def _draw(layers: Sequence[nn.Module]) -> bool:
    """Return whether `layers` draw random numbers, which must be the same when recomputed."""
    return any(isinstance(part, nn.Dropout) for layer in layers for part in layer.modules())


def _run(layers: Sequence[nn.Module], images: Tensor) -> Tensor:
    for layer in layers:
        images = layer(images)
    return images
