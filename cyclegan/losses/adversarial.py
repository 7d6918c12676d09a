"""Adversarial objectives, gradient penalties and the augmentation of what discriminators see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.distributed import drawn
from cyclegan.logged import Logged
from cyclegan.losses import AugmentName, GanMode
from cyclegan.translation import Convert, each_of


def colour(images: Tensor) -> Tensor:
    """Jitter brightness by +-0.5 of the range [0, 1], saturation 0 to 2, contrast 0.5 to 1.5."""
    images = images + 2 * (_draw(images) - 0.5)
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * (2 * _draw(images))
    level = images.mean((1, 2, 3), keepdim=True)
    return level + (images - level) * (0.5 + _draw(images))


def translation(images: Tensor) -> Tensor:
    """Shift by up to an eighth of the sides; fill with black."""
    n, _, height, width = images.shape
    by = (height // 8, width // 8)
    padded = functional.pad(images, (by[1], by[1], by[0], by[0]), value=-1.0)
    rows = _start(images, 2 * by[0]) + torch.arange(height, device=images.device)
    columns = _start(images, 2 * by[1]) + torch.arange(width, device=images.device)
    every = torch.arange(n, device=images.device)
    moved = padded.permute(0, 2, 3, 1)[every[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cutout(images: Tensor) -> Tensor:
    """Gray out a rectangle of half the sides, which may lie partly outside."""
    _, _, height, width = images.shape
    outside = _away(images, height)[:, None, :, None] | _away(images, width)[:, None, None, :]
    return images * outside


#: The one table of augmentations (`--diffaugment`).
AUGMENTATIONS: dict[AugmentName, Callable[[Tensor], Tensor]] = {
    "color": colour,
    "translation": translation,
    "cutout": cutout,
}


def augmentation(names: Sequence[AugmentName]) -> Callable[[Tensor], Tensor]:
    """Return a function that applies all of `names` in order."""

    def augment(images: Tensor) -> Tensor:
        for name in names:
            images = AUGMENTATIONS[name](images)
        return images

    return augment


def _draw(images: Tensor) -> Tensor:
    return drawn(
        len(images), lambda n: torch.rand(n, 1, 1, 1, device=images.device, dtype=images.dtype)
    )


def _start(images: Tensor, largest: int) -> Tensor:
    """Draw whole numbers (N, 1) from 0 to `largest`."""
    return drawn(len(images), lambda n: torch.randint(0, largest + 1, (n, 1), device=images.device))


def _away(images: Tensor, side: int) -> Tensor:
    """Return (N, side): whether a row or column is outside a random rectangle, half a side wide."""
    centre = _start(images, side - 1)
    places = torch.arange(side, device=images.device)
    return (places - centre).abs() > side // 4


@dataclass(frozen=True)
class Adversarial:
    """An adversarial objective; each function takes scores (N, 1, h, w) and returns a scalar."""

    real: Callable[[Tensor], Tensor]
    """the discriminator's loss on real images"""
    fake: Callable[[Tensor], Tensor]
    """the discriminator's loss on converted images"""
    generator: Callable[[Tensor], Tensor]
    """the generator's loss on its converted images"""
    penalized: bool = False
    """whether the discriminator needs the gradient penalty"""


def _unchanged(images: Tensor) -> Tensor:
    return images


def _squared_to(target: float) -> Callable[[Tensor], Tensor]:
    return lambda scores: (scores - target).square().mean()


def _cross_entropy_to(target: float) -> Callable[[Tensor], Tensor]:
    return lambda scores: functional.binary_cross_entropy_with_logits(
        scores, torch.full_like(scores, target)
    )


def _mean(scores: Tensor) -> Tensor:
    return scores.mean()


def _negated_mean(scores: Tensor) -> Tensor:
    return -scores.mean()


#: A discriminator's loss as it is logged, beside that of the generator which it judges.
DISCRIMINATOR = Logged("discriminator", group="adversarial")

#: The one table of objectives (`--gan_mode`).
ADVERSARIAL: dict[GanMode, Adversarial] = {
    # Mao et al. 2017, "Least Squares Generative Adversarial Networks"
    "lsgan": Adversarial(_squared_to(1.0), _squared_to(0.0), _squared_to(1.0)),
    # Goodfellow et al. 2014, with the non-saturating loss of its section 3
    "vanilla": Adversarial(_cross_entropy_to(1.0), _cross_entropy_to(0.0), _cross_entropy_to(1.0)),
    # Lim and Ye 2017, "Geometric GAN"
    "hinge": Adversarial(
        lambda scores: functional.relu(1 - scores).mean(),
        lambda scores: functional.relu(1 + scores).mean(),
        _negated_mean,
    ),
    # Gulrajani et al. 2017, "Improved Training of Wasserstein GANs"
    "wgangp": Adversarial(_negated_mean, _mean, _negated_mean, penalized=True),
}


class Penalty(Protocol):
    """Gradient penalty: discriminator, real and converted images (N, C, H, W) -> a scalar."""

    def __call__(self, discriminator: nn.Module, real: Tensor, fake: Tensor, /) -> Tensor: ...


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the squared distance of the gradient norm to 1 between real and fake (N, C, H, W).

    Gulrajani et al. 2017, section 4: points on the line between a real and a converted image, drawn
    uniformly per image from torch's generator of that device. A scalar.
    """
    share = _draw(real)
    between = share * real + (1 - share) * fake
    # The tiny addend keeps the norm's own gradient finite where the gradient is exactly 0.
    norms = (_gradient(discriminator, between).flatten(1) + 1e-16).norm(2, dim=1)
    penalty: Tensor = (norms - 1).square().mean()
    return penalty


def zero_centred_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return half the squared gradient norm at real images (N, C, H, W), a scalar.

    Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", section 4.1
    (R1): where real images are, the scores should be flat.
    """
    gradient = _gradient(discriminator, real)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def _gradient(discriminator: nn.Module, images: Tensor) -> Tensor:
    at = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(at).sum(), at, create_graph=True)
    return gradient


@dataclass(frozen=True)
class Adversary:
    """A discriminator, and the objective that makes losses of its scores."""

    discriminator: nn.Module
    score: Convert
    """the callable discriminator"""
    adversarial: Adversarial
    penalties: Sequence[tuple[Penalty, float | Tensor]] = ()
    """each with its weight"""
    together: bool = False
    """whether real and converted images may share a call"""
    augment: Callable[[Tensor], Tensor] = _unchanged
    """augmentation of every image before scoring"""

    def loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss on images (N, C, H, W).

        Half of real plus fake, and the weighted penalties.
        """
        real, fake = self.augment(real), self.augment(fake)
        of_real, of_fake = each_of(self.score, real, fake, together=self.together)
        loss = 0.5 * (self.adversarial.real(of_real) + self.adversarial.fake(of_fake))
        for penalty, weight in self.penalties:
            # Eager and in the weights' type: a compiled network has no gradient of a gradient.
            loss = loss + weight * penalty(self.discriminator, real, fake)
        return loss

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's loss on its converted images (N, C, H, W)."""
        return self.adversarial.generator(self.score(self.augment(fake)))
