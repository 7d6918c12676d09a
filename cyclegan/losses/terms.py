"""The one table of the generators' loss terms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from cyclegan.logged import Logged
from cyclegan.losses.adversarial import Judge, adversarial
from cyclegan.losses.cycle import cycle
from cyclegan.losses.identity import identity
from cyclegan.losses.lowpass import consistency, lowpass_cycle
from cyclegan.losses.patch_nce import patch_nce
from cyclegan.losses.perceptual.terms import content, perceptual_cycle, style, total_variation
from cyclegan.translation import Translation


@dataclass(frozen=True)
class Term:
    """A loss term, and what it needs besides a translation's fake."""

    loss: Callable[[Translation, Judge], Tensor]
    """one direction's translation and the judge of its fakes -> a scalar"""
    needs: Literal["cycled", "identity"] | None = None
    """a picture"""
    looks: bool = False
    """whether it looks through the judge's frozen network"""
    shown: Logged | None = None
    """as loggers show it; by default under its name"""


TERMS: dict[str, Term] = {
    "adversarial": Term(
        adversarial,
        shown=Logged("adversarial", "generator", title="adversarial", by_way=True, order=0),
    ),
    "cycle": Term(cycle, "cycled", shown=Logged("cycle", title="cycle consistency", order=1)),
    "identity": Term(identity, "identity", shown=Logged("identity", order=2)),
    "lowpass_cycle": Term(lowpass_cycle, "cycled"),
    "consistency": Term(consistency),
    "patch_nce": Term(patch_nce),
    "content": Term(content, looks=True),
    "style": Term(style, looks=True),
    "perceptual_cycle": Term(perceptual_cycle, "cycled", looks=True),
    "total_variation": Term(total_variation),
}
