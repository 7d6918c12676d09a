"""Content and style as loss terms of a translation."""

from torch import Tensor

from cyclegan.losses.adversarial import Judge
from cyclegan.losses.perceptual import smooth
from cyclegan.losses.perceptual.look import Perceptual
from cyclegan.translation import Translation


def content(translation: Translation, judge: Judge) -> Tensor:
    """L_content from source to fake: it should show the same. A scalar."""
    return _distance(_needed(judge), translation.fake, translation.source)


def style(translation: Translation, judge: Judge) -> Tensor:
    """L_style from target to fake: it should be painted alike. A scalar."""
    perceptual = _needed(judge)
    return perceptual.style(
        perceptual.maps(translation.fake), perceptual.style_of(translation.target)
    )


def perceptual_cycle(translation: Translation, judge: Judge) -> Tensor:
    """L_content from the source to its way there and back. Needs `translation.cycled`. A scalar."""
    assert translation.cycled is not None
    return _distance(_needed(judge), translation.cycled, translation.source)


def total_variation(translation: Translation, judge: Judge) -> Tensor:
    """How much neighbouring pixels of the fake differ. A scalar."""
    return smooth.total_variation(translation.fake)


def _distance(perceptual: Perceptual, made: Tensor, wanted: Tensor) -> Tensor:
    return perceptual.content(perceptual.maps(made), perceptual.content_of(wanted))


def _needed(judge: Judge) -> Perceptual:
    assert judge.perceptual is not None
    return judge.perceptual
