"""Objectives: the one place where loss terms get their weights."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cyclegan.errors import UsageError
from cyclegan.losses import Direction, ScheduledWeight
from cyclegan.losses.context import Loss, LossContext
from cyclegan.losses.terms import TERMS, Need
from cyclegan.translation import Translation


def check_terms(weights: Mapping[str, float | str], offered: Collection[str], model: str) -> None:
    """Raise UsageError for the first name that is no loss term, or needs what `model` lacks."""
    for name, weight in weights.items():
        if name not in TERMS:
            raise UsageError(f"--weights {name}: no such loss term{TERMS.instead_of(name)}")
        lacking = [need for need in TERMS[name].needs if need not in offered]
        if weight and lacking:
            raise UsageError(
                f"--weights {name}: needs {_WORDS[lacking[0]]}, which --model {model} does not "
                "have: leave it out"
            )


#: What terms need, as a person calls it.
_WORDS: dict[Need, str] = {
    "cycled": "cycle reconstructions (images translated back)",
    "identity": "identity images (B through the generator)",
    "discriminator": "a discriminator",
    "encoder": "a generator's encoder",
    "perceptual": "a perceptual feature network",
}


def needed(terms: Iterable[str]) -> set[Need]:
    """Return all needs of the loss terms named `terms`."""
    return {need for name in terms for need in TERMS[name].needs}


@dataclass(frozen=True)
class Objective:
    """Weighted loss terms of one direction, by name."""

    weights: Mapping[str, float | Tensor]
    losses: Mapping[str, Loss]
    context: LossContext

    def needs(self, need: Need) -> bool:
        """Return whether any term needs `need`."""
        return need in needed(self.weights)

    def __call__(self, translation: Translation) -> dict[str, Tensor]:
        """Return every term of `translation` times its weight; their sum is minimised."""
        try:
            return {
                name: self.losses[name](translation) * weight
                for name, weight in self.weights.items()
            }
        finally:
            self.context.seen.clear()

    def networks(self, direction: Direction, device: torch.device) -> dict[str, nn.Module]:
        """Return the networks of the terms by their checkpoint names, on `device` in train mode."""
        kept = self.context.networks.items()
        return {f"{name}_{direction}": network.to(device).train() for name, network in kept}

    def only(self, *terms: str, times: float | Tensor = 1.0) -> "Objective":
        """Return the objective with the named terms only, their weights `times` as large."""
        kept = {name: weight * times for name, weight in self.weights.items() if name in terms}
        return replace(self, weights=kept)

    def without(self, *terms: str) -> "Objective":
        """Return the objective without the named terms."""
        return self.only(*(name for name in self.weights if name not in terms))


def make_objective(
    weights: Mapping[str, float | ScheduledWeight], context: LossContext
) -> Objective:
    """Return the objective of one direction; terms that keep networks draw their weights."""
    return make_objectives({"a_to_b": weights}, {"a_to_b": context})["a_to_b"]


def make_objectives(
    weights: Mapping[Direction, Mapping[str, float | ScheduledWeight]],
    contexts: Mapping[Direction, LossContext],
) -> dict[Direction, Objective]:
    """Return the objective of each direction, made term by term."""
    losses: dict[Direction, dict[str, Loss]] = {direction: {} for direction in weights}
    for name in dict.fromkeys(name for terms in weights.values() for name in terms):
        for direction in weights:
            if name in weights[direction]:
                losses[direction][name] = TERMS[name].make(contexts[direction])
    return {
        direction: Objective(
            {name: contexts[direction].weigh(weight) for name, weight in terms.items()},
            losses[direction],
            contexts[direction],
        )
        for direction, terms in weights.items()
    }


def proceeding(objectives: Iterable[Objective], steps: float) -> Callable[[int], None]:
    """Return what sets the weights that have a schedule, before each of the `steps` of a run."""
    contexts = [objective.context for objective in objectives]

    def proceed(step: int) -> None:
        for context in contexts:
            context.proceed(min(1.0, step / steps))

    return proceed
