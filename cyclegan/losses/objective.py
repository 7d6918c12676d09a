"""The one place where loss terms get their weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from cyclegan.errors import UsageError
from cyclegan.losses.adversarial import Judge
from cyclegan.losses.terms import TERMS
from cyclegan.spelling import nearest
from cyclegan.translation import Translation


def check_terms(names: Iterable[str]) -> None:
    """Raise UsageError for the first that is not the name of a loss term."""
    for name in names:
        if name not in TERMS:
            raise UsageError(
                f"--weights {name}: no such loss term{nearest(name, TERMS)}; "
                f"there are {', '.join(TERMS)}"
            )


@dataclass(frozen=True)
class Objective:
    """The weighted loss terms of one direction, by name."""

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        check_terms(self.weights)

    def needs(self, picture: str) -> bool:
        """Whether any term needs that picture of a translation: 'cycled' or 'identity'."""
        return any(TERMS[name].needs == picture for name in self.weights)

    @property
    def looks(self) -> bool:
        """Whether any term looks through a frozen network."""
        return any(TERMS[name].looks for name in self.weights)

    def __call__(self, translation: Translation, judge: Judge) -> dict[str, Tensor]:
        """Return every term of `translation` times its weight; their sum is minimised."""
        judge = judge.looking_once()
        return {
            name: TERMS[name].loss(translation, judge) * weight
            for name, weight in self.weights.items()
        }

    def only(self, *terms: str, times: float = 1.0) -> "Objective":
        """The terms called so, their weights `times` as large."""
        kept = {name: weight * times for name, weight in self.weights.items() if name in terms}
        return Objective(kept)

    def without(self, *terms: str) -> "Objective":
        """All but the terms called so."""
        return self.only(*(name for name in self.weights if name not in terms))
