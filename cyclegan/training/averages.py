"""Averaged weights: what training shakes from step to step is left out of the pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass(frozen=True)
class Averages:
    """Networks whose weights are exponential moving averages of those that are trained.

    Yazici et al. 2019, "The Unusual Effectiveness of Averaging in GAN Training".
    """

    networks: dict[str, nn.Module] = field(default_factory=dict)
    """by the names of those that they follow"""
    decay: float = 0.0
    """share of the average that a step keeps"""

    @torch.no_grad()
    def follow(self, trained: Mapping[str, nn.Module], step: int) -> None:
        """Take in the weights after a step, counted from 0; the first ones count little for long.

        Statistics of BatchNorm are copied: they are averages already.
        """
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, average in self.networks.items():
            torch._foreach_lerp_(
                list(average.parameters()), list(trained[name].parameters()), share
            )
            for kept, new in zip(average.buffers(), trained[name].buffers(), strict=True):
                kept.copy_(new)
