"""Content and style as loss terms of a translation."""

from torch import Tensor

from cyclegan.losses.context import Loss, LossContext
from cyclegan.losses.perceptual.look import Perceptual
from cyclegan.translation import Translation


def content(context: LossContext) -> Loss:
    """L_content from source to fake: it should show the same."""
    perceptual = context.perceptual
    return lambda translation: _distance(perceptual, translation.fake, translation.source)


def style(context: LossContext) -> Loss:
    """L_style from target to fake: it should be painted alike."""
    perceptual = context.perceptual

    def loss(translation: Translation) -> Tensor:
        made = perceptual.maps(translation.fake)
        return perceptual.style(made, perceptual.style_of(translation.target))

    return loss


def perceptual_cycle(context: LossContext) -> Loss:
    """L_content from the source to its way there and back. Needs `translation.cycled`."""
    perceptual = context.perceptual

    def loss(translation: Translation) -> Tensor:
        assert translation.cycled is not None
        return _distance(perceptual, translation.cycled, translation.source)

    return loss


def _distance(perceptual: Perceptual, made: Tensor, wanted: Tensor) -> Tensor:
    return perceptual.content(perceptual.maps(made), perceptual.content_of(wanted))
