"""Normalisation layers by name, and spectral normalisation."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from cyclegan.layers import Norm
from cyclegan.layers.padding import is_channels_last


class InstanceNorm(nn.Module):
    """Instance norm: mean 0, variance 1 in every channel of every image; (N, C, H, W), no weights.

    Ulyanov et al. 2016, "Instance Normalization". Statistics are float32 at least. With channels
    last, torch's own instance_norm is slow and its gradient is unreliable for a single image: batch
    normalisation takes the images one by one instead, and many on a GPU, where each call costs as
    much as its kernels, are computed at once.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_dynamo_compiling():  # not while exporting: runtimes know the norm
            return _normalized(input)  # the compiler fuses it with what stands around it
        if not is_channels_last(input):
            return functional.instance_norm(input)
        return AtOnce.of(input) if _many_on_a_gpu(input) else _one_by_one(input)

    def extra_repr(self) -> str:
        return str(self.channels)


class AtOnce(torch.autograd.Function):
    """InstanceNorm in as few calls for many images as for one; (N, C, H, W), differentiable twice.

    Maps are kept in their own type: with fewer bits, they are half the memory's traffic.
    """

    @classmethod
    def of(cls, images: Tensor) -> Tensor:
        """Call `apply`, with its return type."""
        return cast(Tensor, cls.apply(images))

    @staticmethod
    def forward(ctx: FunctionCtx, images: Tensor) -> Tensor:
        full = _whole(images.dtype)
        mean = images.mean(_PLACES, keepdim=True, dtype=full)
        scale = torch.empty_like(mean)
        torch.var(images, _PLACES, correction=0, keepdim=True, out=scale)
        scale.add_(_EPSILON).rsqrt_()
        ctx.save_for_backward(images, mean, scale)
        return torch.addcmul(mean * -scale, images, scale, out=torch.empty_like(images))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        images, mean, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # a penalty on this gradient asks for its gradient
            (made,) = torch.autograd.grad(_normalized(images), images, gradient, create_graph=True)
            return cast(Tensor, made)
        centred = torch.sub(images, mean, out=torch.empty_like(images))
        along = (centred * gradient).mean(_PLACES, keepdim=True, dtype=mean.dtype)
        level = gradient.mean(_PLACES, keepdim=True, dtype=mean.dtype)
        torch.addcmul(-level * scale, centred, -along * scale**3, out=centred)
        return torch.addcmul(centred, gradient, scale, out=centred)


def _many_on_a_gpu(images: Tensor) -> bool:
    return images.is_cuda and len(images) > _FEW


def _one_by_one(images: Tensor) -> Tensor:
    weight = bias = None
    if images.dtype in _FEWER_BITS and images.device.type == "cpu":
        # Without any weights in float32 the CPU's kernel would round mean and variance, too.
        weight, bias = torch.ones(images.shape[1]), torch.zeros(images.shape[1])
    normalized = [
        functional.batch_norm(one, None, None, weight, bias, training=True)
        for one in torch.split(images, 1)
    ]
    return normalized[0] if len(normalized) == 1 else torch.cat(normalized)


def _normalized(images: Tensor) -> Tensor:
    full = images.to(_whole(images.dtype))
    variance, mean = torch.var_mean(full, dim=_PLACES, keepdim=True, correction=0)
    return ((full - mean) * torch.rsqrt(variance + _EPSILON)).to(images.dtype)


def _whole(dtype: torch.dtype) -> torch.dtype:
    """Return the type of statistics: float32 at least."""
    return torch.promote_types(dtype, torch.float32)


_PLACES = (2, 3)
_EPSILON = 1e-5
_FEW = 2  # images that a GPU takes one by one: its own kernels read the maps less often
_FEWER_BITS = (torch.bfloat16, torch.float16)


class Scale(nn.Module):
    """Learned scale and bias of every channel; (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = (each.to(input.dtype).view(1, -1, 1, 1) for each in (self.weight, self.bias))
        return input * weight + bias


NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "instance": InstanceNorm,
    "instance_affine": lambda channels: nn.Sequential(InstanceNorm(channels), Scale(channels)),
    "batch": nn.BatchNorm2d,
    "none": lambda channels: nn.Identity(),
}


def convolution_has_bias(norm: Norm) -> bool:
    """Return whether convolutions before `norm` have a bias: only instance, as in the classic."""
    return norm in ("instance", "instance_affine")


def with_spectral_norm(network: nn.Module) -> nn.Module:
    """Divide every convolution's weights by their largest singular value, in place.

    Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks". Returns the
    network.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            spectral_norm(module)
    return network
