"""One step: every phase of a recipe on one batch, or on some whose gradients add up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from cyclegan.data.feed import Batch
from cyclegan.training.phase import Part, Phase
from cyclegan.training.state import TrainingState
from cyclegan.translation import Translation


@dataclass(frozen=True)
class StepResult:
    """What a step computed: losses as they were minimised, weights included."""

    losses: dict[str, Tensor]
    """scalars on the device: nothing waits for it until someone reads them"""
    translations: dict[str, Translation]
    """of the last batch"""
    skipped: Tensor | None = None
    """whether the gradient scaler left out an update, as a scalar on the device"""


def run_step(
    phases: Sequence[Phase],
    state: TrainingState,
    batches: Sequence[Batch],
    *,
    number: int = 0,
    apart: bool = True,
) -> StepResult:
    """Compute a step, then let the averages follow."""
    result = compute_step(phases, state, batches, number=number, apart=apart)
    state.averages.follow(state.networks, number)
    return result


def compute_step(
    phases: Sequence[Phase],
    state: TrainingState,
    batches: Sequence[Batch],
    *,
    number: int,
    apart: bool,
) -> StepResult:
    """Run the phases in order: the gradients of all parts add up, then the optimizer steps.

    `batches` count by their images, as if they were one. `number` is that of the step in the run.
    `apart` computes a backward for each part; else all graphs of a batch are kept for one.
    """
    images = sum(len(batch) for batch in batches)
    losses: dict[str, Tensor] = {}
    made: list[dict[str, Translation]] = [{} for _ in batches]
    skipped: list[Tensor] = []
    for phase in phases:
        learns = number >= phase.begins
        _train_only(phase.trains if learns else (), state)
        phase.optimizer.zero_grad(set_to_none=not apart)  # see `reserve` of the state
        for batch, translations in zip(batches, made, strict=True):
            parts = phase.parts(batch, translations, number)
            for part in parts if apart else _joined(parts):
                weighted = torch.stack(list(part.losses.values())).sum() * (len(batch) / images)
                if learns:
                    state.scaler.scale(weighted).backward()  # type: ignore[no-untyped-call]
                for name, loss in part.losses.items():
                    share = loss.detach() * (len(batch) / images)
                    losses[name] = losses[name] + share if name in losses else share
                translations |= part.translations
                del part, weighted  # or the graph would live on while the next is computed
        if learns:
            skipped += _update(phase.optimizer, state)
    state.scaler.update()
    return StepResult(losses, made[-1], torch.stack(skipped).any() if skipped else None)


def _joined(parts: Iterator[Part]) -> Iterator[Part]:
    """All parts as one."""
    every = list(parts)
    yield Part(
        {name: loss for part in every for name, loss in part.losses.items()},
        {name: made for part in every for name, made in part.translations.items()},
    )


def _update(optimizer: Optimizer, state: TrainingState) -> list[Tensor]:
    """Step; with a gradient scaler, tell whether it left the step out because of an overflow.

    An Adam that was left out has not counted its step: that is known without asking the device.
    """
    before = _steps_taken(optimizer) if state.scaler.is_enabled() else None
    state.scaler.step(optimizer)
    after = _steps_taken(optimizer) if state.scaler.is_enabled() else None
    if after is None:
        return []
    return [after == (torch.zeros_like(after) if before is None else before)]


def _steps_taken(optimizer: Optimizer) -> Tensor | None:
    counted = [values["step"] for values in optimizer.state.values() if "step" in values]
    return counted[0].clone() if counted else None


def _train_only(trained: Sequence[str], state: TrainingState) -> None:
    """Spare the gradients of networks whose optimizer has no turn."""
    for name, network in state.networks.items():
        network.requires_grad_(name in trained)
