"""Multiply-adds: how many a call takes, and how many a second this device reaches."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from cyclegan.device import wait_for
from cyclegan.execution.execution import TYPES, Execution


@dataclass(frozen=True)
class MeasuredArithmetic:
    """Of one call."""

    multiply_adds: float
    rate: float
    """multiply-adds a second of the chosen execution"""
    peak_rate: float
    """multiply-adds a second of a large product of matrices in the same precision"""

    def describe(self, call: str) -> str:
        """A line for people."""
        return (
            f"arithmetic: {self.multiply_adds / 1e9:.4g} G multiply-adds {call}, "
            f"{self.rate / 1e9:.3g} G/s of {self.peak_rate / 1e9:.3g} G/s in a matrix product "
            f"({self.rate / self.peak_rate:.0%})"
        )


def measure_arithmetic(
    plain: Callable[[], object], seconds: float, chosen: Execution, device: torch.device
) -> MeasuredArithmetic:
    """Count what `plain` computes; `seconds` is what the chosen execution takes for it."""
    counter = FlopCounterMode(display=False)
    with counter:
        plain()
    count = counter.get_total_flops() / 2
    return MeasuredArithmetic(count, count / seconds, _peak_rate(chosen, device))


def _peak_rate(execution: Execution, device: torch.device) -> float:
    """The best of five products of two matrices, after one to warm up."""
    side = 2048 if device.type == "cpu" else 8192  # it must take long enough to be seen
    matrix = torch.randn(side, side, device=device).to(TYPES[execution.precision] or torch.float32)
    best = float("inf")
    for _ in range(6):
        begun = time.perf_counter()
        matrix @ matrix
        wait_for(device)
        best = min(best, time.perf_counter() - begun)
    return side**3 / best
