"""Cycle consistency."""

from torch import Tensor

from cyclegan.losses.adversarial import Judge
from cyclegan.translation import Translation


def cycle(translation: Translation, judge: Judge) -> Tensor:
    """Mean absolute difference of the source to its way there and back.

    Zhu et al. 2017, section 3.2. Needs `translation.cycled`. Returns a scalar in [0, 2].
    """
    assert translation.cycled is not None
    return (translation.cycled - translation.source).abs().mean()
