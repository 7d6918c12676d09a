"""Layers whose way on a GPU is another one than on a CPU."""

import pytest
import torch
from torch import Tensor, nn

from cyclegan.layers.normalization import InstanceNorm
from cyclegan.layers.padding import ReflectionPad, is_channels_last

#: How far a value may be from the exact one, relative to the largest.
NEAR = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.02, torch.float16: 4e-3}


def computed(layer: nn.Module, images: Tensor, weights: Tensor) -> list[Tensor]:
    """The output and the gradient of the images."""
    leaf = images.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    output = layer(leaf)
    (output * weights).sum().backward()
    assert leaf.grad is not None
    return [output, leaf.grad]


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", NEAR, ids=str)
@pytest.mark.parametrize("layer", [InstanceNorm(24), ReflectionPad(1), ReflectionPad(3)], ids=repr)
def test_channels_last_gives_exact_values_and_stays(
    cuda: torch.device, layer: nn.Module, dtype: torch.dtype, batch: int
) -> None:
    torch.manual_seed(0)
    images = (torch.randn(batch, 24, 40, 36) + 2).to(dtype).to(memory_format=torch.channels_last)
    shape = layer(images.double()).shape
    weights = torch.randn(shape).to(dtype)
    exact = computed(_plain(layer), images.double().contiguous(), weights.double())
    found = computed(layer, images.to(cuda), weights.to(cuda))
    for known, value in zip(exact, found, strict=True):
        assert is_channels_last(value)
        off = (value.double().cpu() - known).abs().max() / known.abs().max()
        assert off < NEAR[dtype]


def test_inference_needs_no_gradient(cuda: torch.device) -> None:
    images = torch.randn(4, 8, 16, 16, device=cuda).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert InstanceNorm(8)(images).isfinite().all()


def _plain(layer: nn.Module) -> nn.Module:
    """Torch's own for pixels that lie channel by channel."""
    if isinstance(layer, InstanceNorm):
        return nn.InstanceNorm2d(24)
    assert isinstance(layer, nn.ReflectionPad2d)
    return nn.ReflectionPad2d(layer.padding)
