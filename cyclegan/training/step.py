"""One step: every phase of a recipe on one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cyclegan.data.feed import Batch
from cyclegan.training.phase import Phase
from cyclegan.translation import Translation


@dataclass(frozen=True)
class StepResult:
    """What a step computed: losses as they were minimised, weights included."""

    losses: dict[str, Tensor]
    translations: dict[str, Translation]

    def not_finite(self) -> list[str]:
        """The losses that are NaN or infinite."""
        values = torch.stack(list(self.losses.values()))
        if bool(values.isfinite().all()):
            return []
        return [name for name, loss in self.losses.items() if not bool(loss.isfinite())]


def run_step(
    phases: Sequence[Phase], networks: Mapping[str, nn.Module], batch: Batch
) -> StepResult:
    """Run the phases in order: gradients of all their parts add up, then the optimizer steps."""
    losses: dict[str, Tensor] = {}
    translations: dict[str, Translation] = {}
    for phase in phases:
        _train_only(phase.trains, networks)
        phase.optimizer.zero_grad(set_to_none=True)
        for part in phase.parts(batch, translations):
            torch.stack(list(part.losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            losses |= {name: loss.detach() for name, loss in part.losses.items()}
            translations |= part.translations
            del part  # or its graph would live on while the next part is computed
        phase.optimizer.step()
    return StepResult(losses, translations)


def _train_only(trained: Sequence[str], networks: Mapping[str, nn.Module]) -> None:
    """Spare the gradients of networks whose optimizer has no turn."""
    for name, network in networks.items():
        network.requires_grad_(name in trained)
