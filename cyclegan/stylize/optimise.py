"""Pixels are improved until they have what they should."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite

import torch
from torch import Tensor
from torch.optim import LBFGS, Adam, Optimizer

from cyclegan.stylize.settings import Method

#: Pictures (1, C, H, W) in [-1, 1] -> named losses, whose sum is minimised.
Objective = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Best:
    """A picture that is better than all before."""

    picture: Tensor
    """(1, C, H, W) in [-1, 1]"""
    losses: Mapping[str, float]

    @property
    def total(self) -> float:
        """The sum of its losses; infinite before any is known."""
        return sum(self.losses.values()) if self.losses else inf


@dataclass(frozen=True)
class Optimisation:
    """One way of improving pixels."""

    make: Callable[[Tensor, float], Optimizer]
    """takes the pixels and the learning rate"""
    stalls: bool
    """whether a step of it that helps nothing is its last one"""


#: The one table of methods (`--method`).
METHODS: Mapping[Method, Optimisation] = {
    # Gatys et al. 2016, section 2.3; with a line search, no step makes it worse.
    "lbfgs": Optimisation(
        lambda pixels, lr: LBFGS(
            [pixels],
            max_iter=20,
            history_size=10,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        ),
        stalls=True,
    ),
    "adam": Optimisation(lambda pixels, lr: Adam([pixels], lr=lr), stalls=False),
}


@dataclass(frozen=True)
class Watch:
    """Whoever looks on."""

    tell: Callable[[Best, float], None]
    """is told of the best so far after each step, and how much of a full-size step it was"""
    stops: Callable[[], bool]
    """whether the best so far is enough"""


class _EnoughError(Exception):
    """Ends an optimizer amid its steps."""


def optimise(
    start: Tensor,
    objective: Objective,
    method: Method,
    steps: int,
    watch: Watch,
    *,
    lr: float,
    share: float = 1.0,
) -> Best:
    """The best picture of `steps` looks at what is made of `start`, (1, C, H, W) in [-1, 1].

    Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks". It ends earlier
    where `watch` stops it, and where nothing gets better any more. Losses are those of pixels that
    a file can hold: what is beyond the range is cut before it is looked at. `share` is told on.
    """
    pixels = start.clone().requires_grad_()
    optimizer = METHODS[method].make(pixels, lr)
    best, taken = Best(start, {}), 0

    def look() -> Tensor:
        nonlocal best, taken
        optimizer.zero_grad()
        picture = pixels.clamp(-1, 1)
        losses = objective(picture)
        total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        taken += 1
        value = total.item()
        if value < best.total:
            named = {name: one.item() for name, one in losses.items()}
            best = Best(picture.detach().clone(), named)
        watch.tell(best, share)
        if taken >= steps or watch.stops() or not isfinite(value):
            raise _EnoughError
        return total

    try:
        helped = True
        while helped or not METHODS[method].stalls:
            before = best.total
            optimizer.step(look)  # type: ignore[arg-type]
            helped = best.total < before
    except _EnoughError:
        pass
    return best
