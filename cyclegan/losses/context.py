"""Context of the loss terms, whose parts are made when a term first asks for them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor, nn

from cyclegan.losses import ScheduledWeight
from cyclegan.losses.adversarial import Adversary
from cyclegan.losses.perceptual import Maps, Perceptual
from cyclegan.translation import Translation

#: One direction's translation of a batch -> a scalar.
Loss = Callable[[Translation], Tensor]
Encode = Callable[[Tensor], Sequence[Tensor]]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class LossContext:
    """Context of one direction's loss terms: what they may use, and keep from step to step."""

    make_adversary: Callable[[], Adversary] | None = None
    make_perceptual: Callable[[], Perceptual] | None = None
    encode: Encode | None = None
    """the generator's encoder: images (N, C, H, W) in [-1, 1] -> maps, from fine to coarse"""
    example: Tensor | None = None
    """an example image (1, C, h, w), for shape inference"""
    networks: dict[str, nn.Module] = field(default_factory=dict)
    """term modules, by name"""
    seen: dict[Hashable, tuple[Tensor, Maps]] = field(default_factory=dict)
    """cached maps of this translation: computed once per picture for all terms"""
    device: torch.device | None = None
    """device of the weights that have a schedule"""
    scheduled: list[tuple[Tensor, ScheduledWeight]] = field(default_factory=list)
    """those weights"""

    @cached_property
    def adversary(self) -> Adversary:
        """The discriminator that judges the fakes, with its objective."""
        assert self.make_adversary is not None
        return self.make_adversary()

    @cached_property
    def perceptual(self) -> Perceptual:
        """The frozen network that sees content and style."""
        assert self.make_perceptual is not None
        return self.make_perceptual().remembering(self.seen)

    def keep(self, name: str, network: Network) -> Network:
        """Return a term's own network, which is trained with the generators and saved."""
        self.networks[name] = network
        return network

    def weigh(self, weight: float | ScheduledWeight) -> float | Tensor:
        """Return a weight to multiply with; one that has a schedule is a tensor, set by `proceed`.

        A number that changes would be fixed by the capture of a CUDA graph.
        """
        if not callable(weight):
            return weight
        held = torch.tensor(weight(0.0), device=self.device)
        self.scheduled.append((held, weight))
        return held

    def proceed(self, done: float) -> None:
        """Set the weights that have a schedule, once the share `done` of the run is trained."""
        for held, course in self.scheduled:
            held.fill_(course(done))
