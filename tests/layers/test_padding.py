"""Padding by reflection: torch's values, and its gradient in an order that is always the same."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from cyclegan.layers import padding
from cyclegan.layers.convolution import BlurUpsample
from cyclegan.layers.padding import ReflectionPad, reflect, repeat_border


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("by", [1, 2, 3])
def test_the_gradient_is_torchs_own(
    deterministic: None, by: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 4, 7, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    own = ReflectionPad(by)(images)
    known = functional.pad(images, (by,) * 4, mode="reflect")
    assert torch.equal(own, known)
    weights = torch.rand_like(known)
    (gradient,) = torch.autograd.grad((own * weights).sum(), images)
    (expected,) = torch.autograd.grad((known * weights).sum(), images)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("by", [1, 3])
def test_pixels_stay_together_on_a_gpu(
    by: int, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a GPU's channels last, taken here on the CPU: nothing is copied to be padded."""
    monkeypatch.setattr(padding, "_keeps_pixels_together", padding.is_channels_last)
    torch.use_deterministic_algorithms(deterministic)
    images = torch.rand(2, 3, 5, 7, dtype=torch.float64).to(memory_format=torch.channels_last)
    own = reflect(images.requires_grad_(), by)
    torch.use_deterministic_algorithms(False)
    known = functional.pad(images, (by,) * 4, mode="reflect")
    assert torch.equal(own, known)
    assert padding.is_channels_last(own)
    weights = torch.rand_like(known)
    (gradient,) = torch.autograd.grad((own * weights).sum(), images)
    (expected,) = torch.autograd.grad((known * weights).sum(), images)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-14)
    assert padding.is_channels_last(gradient)


def test_the_gradient_has_a_gradient(deterministic: None) -> None:
    images = torch.rand(1, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: reflect(x, 2).square(), images)


def test_without_being_asked_it_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(1, 1, 4, 4, requires_grad=True)
    assert "Reflection" in type(reflect(images, 1).grad_fn).__name__
    torch.use_deterministic_algorithms(True)
    assert "Reflected" in type(reflect(images, 1).grad_fn).__name__
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("margins", [(1, 1, 1, 1), (0, 3, 0, 2), (0, 0, 0, 1)])
def test_a_repeated_border_is_torchs_own(
    deterministic: None, margins: tuple[int, int, int, int]
) -> None:
    images = torch.rand(2, 3, 4, 7, dtype=torch.float64, requires_grad=True)
    own = repeat_border(images, *margins)
    known = functional.pad(images, margins, mode="replicate")
    assert torch.equal(own, known)
    weights = torch.rand_like(known)
    (gradient,) = torch.autograd.grad((own * weights).sum(), images)
    torch.use_deterministic_algorithms(False)
    (expected,) = torch.autograd.grad((known * weights).sum(), images)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-14)


def test_compiled_code_repeats_a_border_that_lies_pixel_by_pixel() -> None:
    """Where torch's own gradient of it comes in another layout than the compiler was told."""
    torch.manual_seed(0)
    doubled = torch.compile(BlurUpsample(4))
    images = torch.rand(1, 4, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(doubled(images).square().sum(), images)
    (expected,) = torch.autograd.grad(BlurUpsample(4)(images).square().sum(), images)
    torch.testing.assert_close(gradient, expected)
