"""PatchNCE as a loss term."""

from torch import Tensor

from cyclegan.losses.adversarial import Judge
from cyclegan.translation import Translation


def patch_nce(translation: Translation, judge: Judge) -> Tensor:
    """The loss of `judge.patches` from source to fake; a scalar."""
    assert judge.patches is not None
    return judge.patches.loss(translation.source, translation.fake)
