"""Layers give the same values and gradients however the pixels lie in memory."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from cyclegan.discriminators.patch import PatchDiscriminator
from cyclegan.layers import normalization
from cyclegan.layers.convolution import (
    Convolution,
    FinalConvolution,
    TransposedConvolution,
    _padded_on_a_gpu,
    fold,
)
from cyclegan.layers.normalization import AtOnce, InstanceNorm
from cyclegan.layers.padding import is_channels_last
from cyclegan.losses.adversarial import Penalty, gradient_penalty, zero_centred_penalty

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


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """InstanceNorm takes the way of many images on a GPU, here on the CPU."""
    monkeypatch.setattr(normalization, "_many_on_a_gpu", lambda images: True)
    yield


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("batch", [1, 3])
def test_images_normalised_at_once_have_the_same_gradients(batch: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Convolution(3, 8, 3, padding=1), InstanceNorm(8)).double()
    images = torch.randn(batch, 3, 16, 12, dtype=torch.float64)
    plain = gradients(network, images, torch.contiguous_format)
    fast = gradients(network, images, torch.channels_last)
    for expected, value in zip(plain, fast, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("penalty", [gradient_penalty, zero_centred_penalty])
def test_penalties_go_through_images_normalised_at_once(penalty: Penalty) -> None:
    """The gradient of a gradient, which a discriminator's R1 and wgangp penalties are made of."""
    torch.manual_seed(0)
    network = PatchDiscriminator(3, 4, 2).double()
    real, fake = torch.randn(2, 2, 3, 32, 32, dtype=torch.float64)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        network.to(memory_format=layout).zero_grad()
        torch.manual_seed(1)  # the points between real and fake
        value = penalty(network, real.to(memory_format=layout), fake.to(memory_format=layout))
        value.backward()  # type: ignore[no-untyped-call]
        found.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    for expected, made in zip(*found, strict=True):
        torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-12)


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is launched, views left out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def test_what_is_launched_does_not_grow_with_the_batch() -> None:
    counts = []
    for batch in (3, 16):
        images = torch.randn(batch, 4, 8, 8).contiguous(memory_format=torch.channels_last)
        with Counting() as counting:
            made = AtOnce.of(images.requires_grad_())
            made.backward(torch.ones_like(images))  # type: ignore[no-untyped-call]
        counts.append(counting.count)
    assert counts[0] == counts[1] < 30


@pytest.mark.parametrize("normalize", [InstanceNorm(4), AtOnce.of], ids=["one by one", "at once"])
def test_statistics_of_bfloat16_maps_are_float32(normalize: Callable[[Tensor], Tensor]) -> None:
    """A mean of 8 bits would leave a share of itself in every pixel."""
    torch.manual_seed(0)
    images = (torch.randn(2, 4, 64, 64) + 5.125).bfloat16()
    images = images.contiguous(memory_format=torch.channels_last)
    left = normalize(images).double().mean((2, 3)).abs().max()
    assert left < 1e-3


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


def test_what_a_gpu_pads_changes_nothing_and_its_gradient_stays_channels_last() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 8, 9, 9, dtype=torch.double).to(memory_format=torch.channels_last)
    weight = torch.rand(21, 8, 1, 3, dtype=torch.double)
    leaves = images.requires_grad_(), weight.requires_grad_()
    made, known = _padded_on_a_gpu(*leaves), torch.nn.functional.conv2d(*leaves)
    torch.testing.assert_close(made[:, :21], known)
    assert made.shape[1] == 24
    seen: list[Tensor] = []
    assert made.grad_fn is not None
    made.grad_fn.register_hook(lambda own, above: seen.extend(own))
    gradients = torch.autograd.grad(made[:, 3:6].square().sum(), leaves)
    expected = torch.autograd.grad(known[:, 3:6].square().sum(), leaves)
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert is_channels_last(seen[0])
