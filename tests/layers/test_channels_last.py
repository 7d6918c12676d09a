"""Layers give the same values and gradients however the pixels lie in memory."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers.convolution import (
    Convolution,
    FinalConvolution,
    TransposedConvolution,
    fold,
)
from cyclegan.layers.normalization import InstanceNorm

# Each stands behind a convolution, whose own gradient shows what the layer passes on.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "norm": lambda: InstanceNorm(8),
    "convolution": lambda: Convolution(8, 6, 3, padding=1),
    "transposed": lambda: TransposedConvolution(8, 6, 3, 2, padding=1, output_padding=1),
    "final": lambda: FinalConvolution(8, 3, 7),
    "final, padded": lambda: FinalConvolution(8, 1, 4, padding=1),
}


def gradients(network: nn.Module, images: Tensor, layout: torch.memory_format) -> list[Tensor]:
    """The output and the gradients of input and weights, in float64."""
    network.zero_grad()
    network.to(memory_format=layout)
    leaf = images.clone(memory_format=layout).requires_grad_()
    output = network(leaf)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    assert leaf.grad is not None
    weights = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    return [output.detach(), leaf.grad, *weights]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_channels_last_gives_the_same_gradients(name: str, batch: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Convolution(3, 8, 3, padding=1), LAYERS[name]()).double()
    images = torch.randn(batch, 3, 16, 12, dtype=torch.float64)
    plain = gradients(network, images, torch.contiguous_format)
    fast = gradients(network, images, torch.channels_last)
    for expected, value in zip(plain, fast, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)


def test_the_norm_is_torchs_own() -> None:
    images = torch.randn(2, 5, 9, 7, dtype=torch.float64)
    ours = InstanceNorm(5)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(ours, functional.instance_norm(images), rtol=1e-12, atol=1e-12)


def test_the_last_convolution_computes_in_the_type_of_its_weights() -> None:
    images = torch.rand(1, 8, 9, 9).bfloat16()
    assert Convolution(8, 3, 3)(images).dtype == torch.bfloat16
    final = FinalConvolution(8, 3, 7)
    assert torch.equal(final(images), final(images.float()))
    assert final(images).dtype == torch.float32


def test_folded_weights_are_cast_no_more_and_the_last_layer_stays_whole() -> None:
    network = nn.Sequential(Convolution(3, 4, 3), FinalConvolution(4, 3, 3))
    images = torch.rand(1, 3, 8, 8).bfloat16()
    expected = network(images)
    fold(network, torch.bfloat16)
    assert [layer.weight.dtype for layer in network] == [torch.bfloat16, torch.float32]
    assert torch.equal(network(images), expected)
