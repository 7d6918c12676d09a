"""The one table of metrics: how a converted picture compares with the one that should come out."""

from collections.abc import Callable

from torch import Tensor

from cyclegan.metrics.difference import mean_absolute_difference

METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "mean absolute difference": mean_absolute_difference,
}
