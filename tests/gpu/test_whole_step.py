"""A step as one CUDA graph: its losses, pools and weights are those of the same step without."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from training.whole_steps import follow, state_of, with_pretraining, with_schedule, with_turns

from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings
from cyclegan.training.captured import CudaGraph
from cyclegan.training.step import StepResult

LAST = Execution(
    "cuda", channels_last=True, batch_discriminator=True, backward_per_part=True, fused=True
)


#: What differs from step to step, and whether networks are compiled.
RUNS = {
    "eager": (with_turns, False),
    "compiled": (with_turns, True),
    "scheduled": (with_schedule, False),
    "pretrained": (with_pretraining, False),
}


@pytest.mark.usefixtures("whole_float32")
@pytest.mark.parametrize("name", RUNS)
def test_a_graph_trains_as_ever(
    cuda: torch.device,
    tiny_settings: Settings,
    name: str,
    caplog: pytest.LogCaptureFixture,
    figures: dict[str, Any],
    needs_seconds: Callable[[float], None],
) -> None:
    changed, compiled = RUNS[name]
    needs_seconds(120 if compiled else 10)
    settings = changed(tiny_settings)
    way = replace(LAST, compiled=compiled, whole_step=True)
    usual, expected = follow(settings, way, cuda)
    graphs, losses = follow(settings, way, cuda, CudaGraph)
    assert "CUDA graph capture" not in caplog.text
    far = [_apart(*pair) for pair in zip(expected, losses, strict=True)]
    figures[f"whole step, {name}: losses off"] = far
    assert max(far) < 1e-2
    known, found = state_of(usual), state_of(graphs)
    assert known.keys() == found.keys()
    for weight, value in known.items():
        torch.testing.assert_close(found[weight], value, rtol=0.05, atol=1e-2, msg=weight)


@pytest.mark.usefixtures("whole_float32")
def test_a_loss_that_reads_the_gpus_results_is_computed_as_usual(
    cuda: torch.device,
    tiny_settings: Settings,
    caplog: pytest.LogCaptureFixture,
    figures: dict[str, Any],
) -> None:
    """It can't be captured; a user's own loss may do so."""

    class Reading(CudaGraph):
        def capture(self, compute: Callable[[], StepResult]) -> StepResult:
            def read() -> StepResult:
                made = compute()
                next(iter(made.losses.values())).item()
                return made

            return super().capture(read)

    _, expected = follow(with_turns(tiny_settings), LAST, cuda)
    _, losses = follow(with_turns(tiny_settings), LAST, cuda, Reading)
    assert caplog.text.count("CUDA graph capture of the training step failed") == 1
    far = [_apart(*pair) for pair in zip(expected, losses, strict=True)]
    figures["not captured: losses off"] = far
    assert max(far) < 1e-2


def _apart(known: dict[str, float], found: dict[str, float]) -> float:
    """Return the largest relative difference of a loss."""
    assert known.keys() == found.keys()
    return max(abs(found[loss] - known[loss]) / max(abs(known[loss]), 1e-3) for loss in known)
