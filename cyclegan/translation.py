"""Translation of a batch in one direction, with its cycle and identity."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Convert = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Translation:
    """The images that one direction makes of a batch; all tensors (N, C, H, W) in [-1, 1]."""

    source: Tensor
    """real images of the source domain"""
    target: Tensor
    """real images of the target domain"""
    fake: Tensor
    """the source, translated"""
    cycled: Tensor | None
    """the fake, translated back; None if not requested"""
    identity: Tensor | None
    """the target through the same generator; None if not requested"""

    def detach(self) -> "Translation":
        """Return the same images without their graph."""
        return Translation(
            self.source,
            self.target,
            self.fake.detach(),
            None if self.cycled is None else self.cycled.detach(),
            None if self.identity is None else self.identity.detach(),
        )

    def pictures(self) -> dict[str, Tensor]:
        """Return the images of this direction by the names that people read."""
        named = {
            "real": self.source,
            "fake": self.fake,
            "cycled": self.cycled,
            "identity": self.identity,
        }
        return {name: images for name, images in named.items() if images is not None}


def translate(
    forward: Convert,
    backward: Convert,
    source: Tensor,
    target: Tensor,
    *,
    cycle: bool = True,
    identity: bool = True,
    together: bool = False,
) -> Translation:
    """Translate `source` by `forward`; if asked for, back by `backward`, and `target` too.

    `source` and `target` are (N, C, H, W) in [-1, 1]; `together` puts both through `forward` in one
    call if their sizes allow it. Zhu et al. 2017, sections 3.2 and 5.2.
    """
    same: Tensor | None = None
    if identity:
        fake, same = each_of(forward, source, target, together=together)
    else:
        fake = forward(source)
    return Translation(source, target, fake, backward(fake) if cycle else None, same)


def each_of(
    network: Convert, first: Tensor, second: Tensor, *, together: bool
) -> tuple[Tensor, Tensor]:
    """Apply `network` to two batches, in one call if `together` is set and their sizes allow it.

    One call gives the same only if each image's result depends on no other image.
    """
    if not together or first.shape[1:] != second.shape[1:]:
        return network(first), network(second)
    both = torch.cat([first, second])
    made = network(both)
    return made[: len(first)], made[len(first) :]
