"""The one table of metrics that compare a converted picture with the expected one."""

from collections.abc import Callable

from torch import Tensor


def mean_absolute_difference(image: Tensor, expected: Tensor) -> float:
    """Return the mean absolute difference of (C, H, W) in [-1, 1], scaled to the range [0, 1]."""
    return (image - expected).abs().mean().item() / 2


METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "mean absolute difference": mean_absolute_difference,
}
