"""Adversarial objectives: what the discriminators and the generators want of the scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.logged import Logged
from cyclegan.losses import GanMode
from cyclegan.losses.penalties import Penalty
from cyclegan.translation import Convert, each_of


@dataclass(frozen=True)
class Adversarial:
    """One objective; each function takes scores (N, 1, h, w) and returns a scalar."""

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


@dataclass(frozen=True)
class Adversary:
    """A discriminator together with the objective by which its scores count."""

    discriminator: nn.Module
    score: Convert
    """the discriminator as it is called"""
    adversarial: Adversarial
    penalties: Sequence[tuple[Penalty, float]] = ()
    """each with its weight"""
    together: bool = False
    """whether it may see real and converted images in one call"""
    augment: Callable[[Tensor], Tensor] = _unchanged
    """what is done to every image before it is seen"""

    def loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's own loss on images (N, C, H, W): half of real plus fake."""
        real, fake = self.augment(real), self.augment(fake)
        of_real, of_fake = each_of(self.score, real, fake, together=self.together)
        loss = 0.5 * (self.adversarial.real(of_real) + self.adversarial.fake(of_fake))
        for penalty, weight in self.penalties:
            # Eager and in the weights' type: a compiled network has no gradient of a gradient.
            loss = loss + weight * penalty(self.discriminator, real, fake)
        return loss

    def generator_loss(self, fake: Tensor) -> Tensor:
        """The generator's loss on its converted images (N, C, H, W)."""
        return self.adversarial.generator(self.score(self.augment(fake)))
