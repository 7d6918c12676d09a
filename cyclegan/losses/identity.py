"""Identity: what already belongs to the target domain should stay as it is."""

from torch import Tensor

from cyclegan.losses.adversarial import Judge
from cyclegan.translation import Translation


def identity(translation: Translation, judge: Judge) -> Tensor:
    """Mean absolute difference of the target to what the generator makes of it.

    Zhu et al. 2017, section 5.2. Needs `translation.identity`. Returns a scalar in [0, 2].
    """
    assert translation.identity is not None
    return (translation.identity - translation.target).abs().mean()
