"""Context of the loss terms, whose parts are made when a term first asks for them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from torch import Tensor, nn

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
    """an image (1, C, h, w) as they are translated, by which networks find their sizes"""
    networks: dict[str, nn.Module] = field(default_factory=dict)
    """what terms keep, by name"""
    seen: dict[Hashable, tuple[Tensor, Maps]] = field(default_factory=dict)
    """maps of the translation in hand: each picture is looked at once for all terms"""

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
