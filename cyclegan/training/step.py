"""Training step: every phase of a recipe on one batch, or on some whose gradients add up."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from cyclegan.data.loader import Batch
from cyclegan.losses import Direction
from cyclegan.training.state import TrainingState
from cyclegan.translation import Translation

Translations = Mapping[str, Translation]


@dataclass(frozen=True)
class Part:
    """Losses of one backward pass, and its translations for later phases to use."""

    losses: dict[str, Tensor]
    """scalars by the names that are logged; their sum is minimised"""
    translations: Translations = field(default_factory=dict)
    """by direction, without graphs"""


@dataclass(frozen=True)
class Phase:
    """One optimizer's share of a step.

    Before step `begins` nothing is learnt: the parts are only made because later phases and logs
    need them. `parts` takes the batch, all translations made so far of it and the number of the
    step, and yields one part per backward pass, so that the graphs of two parts never live
    together.
    """

    name: str
    optimizer: Optimizer
    trains: tuple[str, ...]
    parts: Callable[[Batch, Translations, int], Iterator[Part]]
    begins: int = 0
    turn: Callable[[int], Hashable] = lambda step: None
    """what the parts of the step of a number depend on: steps of one turn launch the same"""


@dataclass(frozen=True)
class Recipe:
    """Networks that are trained together: their state, the phases of a step, and conversions.

    `preview` translates a batch as a conversion would, and leaves the state as it is; so does
    `convert`, in one direction only and in the type that training computes in.
    """

    state: TrainingState
    phases: tuple[Phase, ...]
    preview: Callable[[Batch], Translations]
    convert: Callable[[Direction, Tensor], Tensor]


@dataclass(frozen=True)
class StepResult:
    """Result of a step: losses as they were minimised, weights included."""

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
    """Compute a step, then update the averages."""
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
    `apart` computes a backward for each part; otherwise all graphs of a batch are kept for one.
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
    """Yield all parts as one."""
    every = list(parts)
    yield Part(
        {name: loss for part in every for name, loss in part.losses.items()},
        {name: made for part in every for name, made in part.translations.items()},
    )


def _update(optimizer: Optimizer, state: TrainingState) -> list[Tensor]:
    """Step the optimizer; with a gradient scaler, return whether an overflow skipped the step.

    An Adam that was skipped has not counted its step: that is known without asking the device.
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
    """Disable the gradients of networks whose optimizer has no turn."""
    for name, network in state.networks.items():
        network.requires_grad_(name in trained)


#: So many updates in a row that the gradient scaler leaves out are no search for a scale any more.
PATIENCE = 30


class LossWatch:
    """Record, kept on the device, of when each loss was first NaN or infinite.

    All losses of a step are checked as one vector: a GPU is given a few operations, not a few for
    each.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, ...], Tensor] = {}
        """by the names of the losses that steps had together: some have no turn in every step"""
        self._skips: Tensor | None = None

    def note(self, result: StepResult, images: int) -> None:
        """Check the losses of the step that ended after `images`, without reading them."""
        names, losses = tuple(result.losses), torch.stack(list(result.losses.values()))
        excused = self._excused(result)
        good = losses.isfinite() if excused is None else losses.isfinite() | excused
        first = self._first.get(names)
        if first is None:
            first = torch.full_like(losses, torch.inf)
        self._first[names] = torch.where(good, first, first.clamp(max=images))

    def broken(self) -> dict[str, int]:
        """Return the losses that were not finite, and after how many images for the first time."""
        if not self._first:
            return {}
        names = [name for group in self._first for name in group]
        read = torch.cat(list(self._first.values())).tolist()
        found: dict[str, int] = {}
        for name, images in zip(names, read, strict=True):
            if images != torch.inf:
                found[name] = min(int(images), found.get(name, int(images)))
        return found

    def _excused(self, result: StepResult) -> Tensor | None:
        """Return whether a step was skipped for its overflow, unless too many in a row were.

        A skipped step changed nothing: no NaN lives on.
        """
        if result.skipped is None:
            return None
        skips = (
            torch.zeros_like(result.skipped, dtype=torch.int)
            if self._skips is None
            else (self._skips)
        )
        self._skips = torch.where(result.skipped, skips + 1, 0)
        return result.skipped & (self._skips < PATIENCE)
