"""The one table of the generators' loss terms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from cyclegan.logged import Logged
from cyclegan.losses.context import Loss, LossContext
from cyclegan.losses.patch_nce import patch_nce
from cyclegan.losses.perceptual import Perceptual
from cyclegan.losses.pixels import consistency, cycle, identity, lowpass_cycle, total_variation
from cyclegan.parts import Parts
from cyclegan.translation import Translation


def content(context: LossContext) -> Loss:
    """Return L_content from source to fake: the fake should show the same."""
    perceptual = context.perceptual
    return lambda translation: _distance(perceptual, translation.fake, translation.source)


def style(context: LossContext) -> Loss:
    """Return L_style from target to fake: the fake should be painted alike."""
    perceptual = context.perceptual

    def loss(translation: Translation) -> Tensor:
        made = perceptual.maps(translation.fake)
        return perceptual.style(made, perceptual.style_of(translation.target))

    return loss


def perceptual_cycle(context: LossContext) -> Loss:
    """Return L_content from the source to its way there and back. Needs `translation.cycled`."""
    perceptual = context.perceptual

    def loss(translation: Translation) -> Tensor:
        assert translation.cycled is not None
        return _distance(perceptual, translation.cycled, translation.source)

    return loss


def _distance(perceptual: Perceptual, made: Tensor, wanted: Tensor) -> Tensor:
    return perceptual.content(perceptual.maps(made), perceptual.content_of(wanted))


#: What a recipe has to offer for a term: pictures of a translation, or things of its context.
Need = Literal["cycled", "identity", "discriminator", "encoder", "perceptual"]


@dataclass(frozen=True)
class Term:
    """A loss term, and what it needs besides a translation's source, target and fake."""

    make: Callable[[LossContext], Loss]
    """the context of one direction -> the loss of its translations"""
    needs: tuple[Need, ...] = ()
    shown: Logged | None = None
    """display in loggers; by default under its name"""


def stateless(loss: Loss) -> Callable[[LossContext], Loss]:
    """Return the `make` of a term whose loss looks at a translation and nothing else."""
    return lambda context: loss


def adversarial(context: LossContext) -> Loss:
    """Return the adversarial loss: how far fakes are from passing as real.

    Zhu et al. 2017, section 3.1.
    """
    adversary = context.adversary
    return lambda translation: adversary.generator_loss(translation.fake)


_OWN = {
    "adversarial": Term(
        adversarial,
        ("discriminator",),
        shown=Logged("adversarial", "generator", title="adversarial", by_way=True, order=0),
    ),
    "cycle": Term(
        stateless(cycle), ("cycled",), shown=Logged("cycle", title="cycle consistency", order=1)
    ),
    "identity": Term(stateless(identity), ("identity",), shown=Logged("identity", order=2)),
    "lowpass_cycle": Term(stateless(lowpass_cycle), ("cycled",)),
    "consistency": Term(stateless(consistency)),
    "patch_nce": Term(patch_nce, ("encoder",)),
    "content": Term(content, ("perceptual",)),
    "style": Term(style, ("perceptual",)),
    "perceptual_cycle": Term(perceptual_cycle, ("cycled", "perceptual")),
    "total_variation": Term(stateless(total_variation)),
}

#: The one table of loss terms.
TERMS = Parts("losses", Term, _OWN)
