"""Augmentation of what discriminators see: differentiable, per image, the same kind for both."""

import pytest
import torch
from torch import nn

from cyclegan.losses.adversarial import (
    ADVERSARIAL,
    AUGMENTATIONS,
    Adversary,
    augmentation,
    translation,
)


def images(count: int = 4) -> torch.Tensor:
    torch.manual_seed(0)
    return (torch.rand(count, 3, 16, 24) * 2 - 1).requires_grad_()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_is_drawn_per_image_and_passes_gradients(name: str) -> None:
    one = images(1).detach().expand(6, 3, 16, 24).clone().requires_grad_()
    changed = AUGMENTATIONS[name](one)
    assert changed.shape == one.shape
    assert len({tuple(image.flatten().tolist()) for image in changed.detach()}) > 1
    changed.square().sum().backward()
    assert one.grad.abs().sum() > 0
    torch.manual_seed(5)
    first = AUGMENTATIONS[name](one)
    torch.manual_seed(5)
    assert torch.equal(AUGMENTATIONS[name](one), first)


def test_a_moved_image_is_the_same_image_elsewhere() -> None:
    before = images(20).detach()
    after = translation(before)
    for one, other in zip(before, after, strict=True):
        inside = other[:, 2:-2, 3:-3]  # a quarter of the sides is moved at the most
        found = [
            torch.equal(inside, one[:, row : row + 12, column : column + 18])
            for row in range(5)
            for column in range(7)
        ]
        assert any(found)


def test_none_changes_nothing() -> None:
    assert torch.equal(augmentation(())(images()), images())


def test_the_discriminator_sees_only_what_is_augmented() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x.mean((1, 2, 3), keepdim=True)

    spy = Spy()
    adversary = Adversary(spy, spy, ADVERSARIAL["lsgan"], augment=lambda x: x * 0 + 7)
    adversary.loss(images(), images())
    adversary.generator_loss(images())
    assert len(seen) == 3
    assert all((x == 7).all() for x in seen)
