"""The enlarging convolution against what it stands for, step by step."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers.convolution import ResizeConvolution


def step_by_step(layer: nn.Conv2d, images: Tensor) -> Tensor:
    large = functional.interpolate(images, scale_factor=2, mode="nearest")
    padded = functional.pad(large, (1, 1, 1, 1), mode="reflect")
    return functional.conv2d(padded, layer.weight, layer.bias)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_an_enlarged_image_convolved(layout: torch.memory_format, bias: bool) -> None:
    torch.manual_seed(0)
    layer = ResizeConvolution(5, 3, bias=bias).double().to(memory_format=layout)
    images = torch.randn(2, 5, 6, 7, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weights = [images, *layer.parameters()]
    ours, expected = layer(images), step_by_step(layer, images)
    assert torch.allclose(ours, expected, atol=1e-12)
    direction = torch.randn_like(expected)
    for mine, known in zip(
        torch.autograd.grad(ours, weights, direction),
        torch.autograd.grad(expected, weights, direction),
        strict=True,
    ):
        assert torch.allclose(mine, known, atol=1e-11)
