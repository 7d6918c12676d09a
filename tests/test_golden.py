"""The classic's figures: its weights, outputs and training steps."""

import json

import numpy as np
import pytest
import torch
from conftest import GOLDEN
from traces import EXECUTIONS, LOSSES, RUNS, STEADY, load, traced

from cyclegan import classic
from cyclegan.data.batch import Batch
from cyclegan.execution.execution import Execution
from cyclegan.training import TrainingSettings
from cyclegan.training.state import learning_rate
from cyclegan.training.step import run_step


@pytest.mark.parametrize("how", ["plain", "fast"])
@pytest.mark.parametrize("run", RUNS)
def test_initial_networks_give_the_classics_outputs(run: str, how: str) -> None:
    folder, _, state, _ = load(run, EXECUTIONS[how])
    known = np.load(folder / "forward.npz")
    x = torch.from_numpy(known["input"]).float()
    for key, name in (("G_A", "generator_a_to_b"), ("D_A", "discriminator_b")):
        with torch.no_grad():
            output = state.networks[name](x).numpy()
        assert output.shape == known[key].shape
        assert np.abs(output - known[key]).max() < 1e-5


#: Compiling takes a minute: one of the networks stands for both.
WAYS = [(run, how) for run in RUNS for how in EXECUTIONS]
WAYS.remove(("resnet9_nopool", "compiled"))


@pytest.mark.parametrize(("run", "how"), WAYS)
def test_training_steps_agree_in_float64(run: str, how: str) -> None:
    ours = traced(run, EXECUTIONS[how], steps=STEADY[run])
    for number, (known, losses) in enumerate(zip(ours.known, ours.losses, strict=False)):
        assert losses == pytest.approx(known, rel=1e-4), number


@pytest.mark.parametrize("run", RUNS)
def test_whole_training_ends_where_the_classics_does(run: str) -> None:
    """Losses to 1e-4 and weights to 1e-6, or as far as one bit of rounding moves them by itself.

    Which sums a processor rounds how is not for us to say: a twin, whose first weights differ in
    their last bit, shows what that comes to after the last of the steps.
    """
    ours = traced(run, Execution())
    twin = traced(run, Execution(), rounding=torch.finfo(torch.float64).eps)
    for number, (known, losses) in enumerate(zip(ours.known, ours.losses, strict=True)):
        moved = max(abs(losses[key] / twin.losses[number][key] - 1) for key in known)
        assert moved < 1e-6 or number >= STEADY[run]  # the strict limit holds as long as it can
        assert losses == pytest.approx(known, rel=max(1e-4, 10 * moved)), number
    for short in classic.NETWORKS:
        final = classic.read_weights(ours.folder / f"final_net_{short}.pth")
        own, other = ours.weights[short], twin.weights[short]
        moved = max((own[key] - other[key]).abs().max().item() for key in own)
        assert moved < 1e-6 or run == "resnet6_pool3"
        for key, tensor in own.items():
            assert (tensor - final[key]).abs().max() < max(1e-6, 10 * moved), (short, key)


@pytest.mark.parametrize("how", ["plain", "fast", "batched"])
@pytest.mark.parametrize("run", RUNS)
def test_first_steps_agree_in_float32(run: str, how: str) -> None:
    execution = EXECUTIONS[how]
    folder, trace, state, phases = load(run, execution)
    inputs = np.load(folder / "inputs.npz")
    steps = 3 if how == "plain" else 2  # see STEADY; the pool is still filling
    for number, known in enumerate(trace["losses"][:steps]):
        a, b = (torch.from_numpy(inputs[key][number : number + 1]).float() for key in "AB")
        losses = run_step(
            phases, state, [Batch(a, b)], backward_per_part=execution.backward_per_part
        ).losses
        for key, value in known.items():
            assert losses[LOSSES[key]].item() == pytest.approx(value, rel=1e-4), (number, key)


def test_learning_rate_of_every_epoch() -> None:
    for run in RUNS:
        trace = json.loads((GOLDEN / run / "trace.json").read_text())
        options = {key: trace["options"][key] for key in ("n_epochs", "n_epochs_decay", "lr")}
        settings = TrainingSettings(**options)
        rates = [learning_rate(settings, epoch) for epoch in range(1, settings.last_epoch + 1)]
        assert rates == pytest.approx(trace["lr_at_epoch"], rel=1e-12)
