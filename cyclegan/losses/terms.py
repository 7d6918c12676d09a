"""The one table of the generators' loss terms."""

from typing import Protocol

from torch import Tensor

from cyclegan.losses.adversarial import Judge, adversarial
from cyclegan.losses.cycle import cycle
from cyclegan.losses.identity import identity
from cyclegan.translation import Translation


class Term(Protocol):
    """A loss term: one direction's translation and the judge of its fakes -> a scalar."""

    def __call__(self, translation: Translation, judge: Judge, /) -> Tensor: ...


TERMS: dict[str, Term] = {
    "adversarial": adversarial,
    "cycle": cycle,
    "identity": identity,
}
