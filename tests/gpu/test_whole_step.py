"""A step as one CUDA graph: its losses, pools and weights are those of the same step without."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from training.whole_steps import follow, state_of, with_turns

from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings
from cyclegan.training.captured import CudaGraph
from cyclegan.training.step import StepResult

LAST = Execution(
    "cuda", channels_last=True, batch_discriminator=True, backward_per_part=True, fused=True
)


@pytest.mark.usefixtures("whole_float32")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_graph_trains_as_ever(
    cuda: torch.device,
    tiny_settings: Settings,
    compiled: bool,
    figures: dict[str, Any],
    needs_seconds: Callable[[float], None],
) -> None:
    needs_seconds(120 if compiled else 10)
    settings = with_turns(tiny_settings)
    way = replace(LAST, compiled=compiled, whole_step=True)
    usual, expected = follow(settings, way, cuda)
    graphs, losses = follow(settings, way, cuda, CudaGraph)
    far = [max(abs(found[n] / known[n] - 1) for n in known)
           for known, found in zip(expected, losses, strict=True)]  # fmt: skip
    figures[f"whole step, {'compiled' if compiled else 'eager'}: losses off"] = far
    assert max(far) < 1e-2
    known, found = state_of(usual), state_of(graphs)
    assert known.keys() == found.keys()
    for name, value in known.items():
        torch.testing.assert_close(found[name], value, rtol=0.05, atol=1e-2, msg=name)


def test_a_loss_that_reads_the_gpus_results_is_computed_as_usual(
    cuda: torch.device, tiny_settings: Settings, caplog: pytest.LogCaptureFixture
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
    for known, found in zip(expected, losses, strict=True):
        assert found == pytest.approx(known, rel=1e-2)
