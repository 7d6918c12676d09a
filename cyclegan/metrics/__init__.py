"""The one table of metrics: how a converted picture compares with the one that should come out."""

from collections.abc import Callable

from torch import Tensor


def mean_absolute_difference(image: Tensor, expected: Tensor) -> float:
    """Mean over pixels and channels of (C, H, W) in [-1, 1], in parts of the full range [0, 1]."""
    return (image - expected).abs().mean().item() / 2


METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "mean absolute difference": mean_absolute_difference,
}
