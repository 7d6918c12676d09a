"""Mean absolute difference."""

from torch import Tensor


def mean_absolute_difference(image: Tensor, expected: Tensor) -> float:
    """Mean over pixels and channels of (C, H, W) in [-1, 1], in parts of the full range [0, 1]."""
    return (image - expected).abs().mean().item() / 2
