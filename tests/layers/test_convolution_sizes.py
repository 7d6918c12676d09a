"""The convolutions that change the size against what they stand for, step by step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.layers.convolution import BlurredConvolution, ResizeConvolution


def enlarged(layer: nn.Conv2d, images: Tensor) -> Tensor:
    large = functional.interpolate(images, scale_factor=2, mode="nearest")
    padded = functional.pad(large, (1, 1, 1, 1), mode="reflect")
    return functional.conv2d(padded, layer.weight, layer.bias)


def blurred(layer: nn.Conv2d, images: Tensor) -> Tensor:
    line = torch.tensor([1.0, 2.0, 1.0], dtype=images.dtype) / 4
    kernel = (line[:, None] * line).expand(images.shape[1], 1, 3, 3)
    padded = functional.pad(images, (2, 2, 2, 2), mode="reflect")
    smooth = functional.conv2d(padded, kernel, groups=images.shape[1])
    return functional.conv2d(smooth, layer.weight, layer.bias, 2)


LAYERS = [(ResizeConvolution, enlarged), (BlurredConvolution, blurred)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "step_by_step"), LAYERS)
def test_one_call_is_both_steps(
    layout: torch.memory_format,
    bias: bool,
    kind: Callable[..., nn.Conv2d],
    step_by_step: Callable[[nn.Conv2d, Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    layer = kind(5, 3, bias=bias).double().to(memory_format=layout)
    images = torch.randn(2, 5, 6, 8, dtype=torch.float64).to(memory_format=layout).requires_grad_()
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


def test_what_is_too_fine_does_not_come_back() -> None:
    """Stripes one pixel wide become even gray, and not what every second pixel says."""
    layer = BlurredConvolution(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.zero_()[0, 0, 1, 1] = 1.0
    stripes = torch.tensor([0.0, 1.0]).repeat(8).expand(1, 1, 16, 16)
    assert torch.allclose(layer(stripes), torch.full((1, 1, 8, 8), 0.5))
