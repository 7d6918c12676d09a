"""The classic's traces on a GPU, in every way that steps are computed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from traces import EXECUTIONS, RUNS, STEADY, load, traced

EAGER = [name for name, way in EXECUTIONS.items() if not way.compiled]


@pytest.mark.parametrize("how", EAGER)
@pytest.mark.parametrize("run", RUNS)
def test_steps_agree_in_float64(
    device: torch.device, figures: dict[str, Any], run: str, how: str
) -> None:
    """As long as rounding stays rounding: see STEADY."""
    distance = traced(run, EXECUTIONS[how], steps=STEADY[run], device=device).distance
    figures[f"{run} float64 {how}"] = distance
    assert distance < 1e-4


@pytest.mark.parametrize("run", RUNS)
def test_initial_networks_give_the_classics_outputs(
    device: torch.device, whole_float32: None, figures: dict[str, Any], run: str
) -> None:
    folder, _, state, _ = load(run, EXECUTIONS["fast"], device)
    known = np.load(folder / "forward.npz")
    x = torch.from_numpy(known["input"]).float().to(device)
    for key, name in (("G_A", "generator_a_to_b"), ("D_A", "discriminator_b")):
        with torch.no_grad():
            output = state.networks[name](x).cpu().numpy()
        figures[f"{run} forward {key}"] = distance = float(np.abs(output - known[key]).max())
        assert distance < 1e-4


@pytest.mark.parametrize("how", EAGER)
@pytest.mark.parametrize("run", RUNS)
def test_first_steps_agree_in_float32(
    device: torch.device, whole_float32: None, figures: dict[str, Any], run: str, how: str
) -> None:
    """Before anything is learnt to rounding; then as far as Adam lets it grow.

    Its first updates are as large for a gradient that is all rounding as for any other.
    """
    for steps, limit in ((1, 1e-5), (3, 0.01)):
        made = traced(run, EXECUTIONS[how], steps=steps, dtype=torch.float32, device=device)
        figures[f"{run} float32 {how}, {steps} steps"] = made.distance
        assert made.distance < limit


@pytest.mark.parametrize("run", RUNS)
def test_tensor_float_32_goes_the_same_way(
    device: torch.device, figures: dict[str, Any], run: str
) -> None:
    """Its products have 10 bits: the first step is within what they leave out."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    made = traced(run, EXECUTIONS["fast"], steps=1, dtype=torch.float32, device=device)
    figures[f"{run} tf32 fast, 1 step"] = made.distance
    assert made.distance < 0.02


def test_compiled_steps_agree_in_float64(
    device: torch.device, figures: dict[str, Any], compiling: None
) -> None:
    """CUDA graphs write their results to the same place again: what is read too late shows."""
    run, way = "resnet6_pool3", replace(EXECUTIONS["compiled"], fused=True)
    distance = traced(run, way, steps=STEADY[run], device=device).distance
    figures[f"{run} float64 compiled"] = distance
    assert distance < 1e-4
