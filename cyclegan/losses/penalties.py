"""Penalties on a discriminator's gradient with respect to the images it judges."""

from typing import Protocol

import torch
from torch import Tensor, nn


class Penalty(Protocol):
    """Discriminator, real and converted images (N, C, H, W) -> a scalar."""

    def __call__(self, discriminator: nn.Module, real: Tensor, fake: Tensor, /) -> Tensor: ...


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance of the gradient norm to 1 between real and fake (N, C, H, W).

    Gulrajani et al. 2017, section 4: points on the line between a real and a converted image,
    drawn uniformly per image from torch's generator of that device. Returns a scalar.
    """
    share = torch.rand(real.shape[0], 1, 1, 1, device=real.device, dtype=real.dtype)
    between = share * real + (1 - share) * fake
    # The tiny addend keeps the norm's own gradient finite where the gradient is exactly 0.
    norms = (_gradient(discriminator, between).flatten(1) + 1e-16).norm(2, dim=1)
    penalty: Tensor = (norms - 1).square().mean()
    return penalty


def zero_centred_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Half the squared gradient norm at real images (N, C, H, W); a scalar.

    Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", section 4.1
    (R1): where real images are, the scores shall be flat.
    """
    gradient = _gradient(discriminator, real)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def _gradient(discriminator: nn.Module, images: Tensor) -> Tensor:
    at = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(at).sum(), at, create_graph=True)
    return gradient
