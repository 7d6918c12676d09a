"""The classic's figures: its weights, outputs and training steps."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import GOLDEN, build_recipe

from cyclegan import classic
from cyclegan.data.feed import Batch
from cyclegan.execution.execution import Execution
from cyclegan.settings import from_table
from cyclegan.training.phase import Phase
from cyclegan.training.schedule import learning_rate
from cyclegan.training.settings import TrainingSettings
from cyclegan.training.state import TrainingState
from cyclegan.training.step import run_step

RUNS = ["resnet9_nopool", "resnet6_pool3"]
LOSSES = {
    "D_A": "discriminator_b",
    "G_A": "adversarial_a_to_b",
    "cycle_A": "cycle_a_to_b",
    "idt_A": "identity_a_to_b",
    "D_B": "discriminator_a",
    "G_B": "adversarial_b_to_a",
    "cycle_B": "cycle_b_to_a",
    "idt_B": "identity_b_to_a",
}


#: The plain way, and every fast one; in float64 they are the same mathematics.
EXECUTIONS = {
    "plain": Execution(),
    "fast": Execution(
        channels_last=True, recompute="light", judged_together=True, apart=True, fused=True
    ),
    "batched": Execution(
        channels_last=True, recompute="full", batched=True, judged_together=True, fused=True
    ),
    "compiled": Execution(channels_last=True, compiled=True, judged_together=True, apart=True),
}


#: The steps in which rounding stays rounding. The networks of 4 maps amplify any difference about
#: tenfold a step: plain weights changed by 2e-16 end as far from the trace of resnet6_pool3.
STEADY = {"resnet9_nopool": 8, "resnet6_pool3": 12}


def load(run: str, execution: Execution) -> tuple[Path, dict, TrainingState, tuple[Phase, ...]]:
    folder = GOLDEN / run
    trace = json.loads((folder / "trace.json").read_text())
    options = trace["options"]
    settings = from_table(
        {
            "generator": {key: options[key] for key in ("netG", "ngf")},
            "discriminator": {key: options[key] for key in ("netD", "ndf")},
            "networks": {"norm": options["norm"]},
            "losses": {
                key: options[key] for key in ("gan_mode", "lambda_A", "lambda_B", "lambda_identity")
            },
            "training": {key: options[key] for key in ("lr", "beta1", "pool_size")},
        },
        run,
    )
    recipe = build_recipe(settings, execution)
    state, phases = recipe.state, recipe.phases
    for short, name in classic.NETWORKS.items():
        path = folder / f"initial_net_{short}.pth"
        classic.load_into(state.networks[name], classic.read_weights(path), path)
    return folder, trace, state, phases


def play(choices: list[str | int]) -> Iterator[int | None]:
    """The pool's decisions of the trace; while it fills it has none to make."""
    return (None if choice == "current" else choice for choice in choices if choice != "insert")


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


@pytest.mark.parametrize("how", EXECUTIONS)
@pytest.mark.parametrize("run", RUNS)
def test_training_steps_agree_in_float64(run: str, how: str) -> None:
    execution = EXECUTIONS[how]
    folder, trace, state, phases = load(run, execution)
    for network in state.networks.values():
        network.double()
    if execution.apart:
        state.reserve()  # in float64 too
    for domain, name in (("B", "discriminator_b"), ("A", "discriminator_a")):
        choices = play(trace["pool_choices"][domain] if trace["pool_choices"] else [])
        state.pools[name].choose = lambda choices=choices: next(choices)
    inputs = np.load(folder / "inputs.npz")
    assert len(trace["losses"]) == len(inputs["A"]) >= 8
    steps = len(inputs["A"]) if how == "plain" else STEADY[run]
    for number, known in enumerate(trace["losses"][:steps]):
        a, b = (torch.from_numpy(inputs[key][number : number + 1]).double() for key in "AB")
        losses = run_step(phases, state, [Batch(a, b)], apart=execution.apart).losses
        for key, value in known.items():
            assert losses[LOSSES[key]].item() == pytest.approx(value, rel=1e-4), (number, key)
    if steps < len(inputs["A"]):
        return
    for short, name in classic.NETWORKS.items():
        final = classic.read_weights(folder / f"final_net_{short}.pth")
        for key, tensor in state.networks[name].state_dict().items():
            assert (tensor - final[key]).abs().max() < 1e-6, (name, key)


@pytest.mark.parametrize("how", ["plain", "fast", "batched"])
@pytest.mark.parametrize("run", RUNS)
def test_first_steps_agree_in_float32(run: str, how: str) -> None:
    execution = EXECUTIONS[how]
    folder, trace, state, phases = load(run, execution)
    inputs = np.load(folder / "inputs.npz")
    steps = 3 if how == "plain" else 2  # see STEADY; the pool is still filling
    for number, known in enumerate(trace["losses"][:steps]):
        a, b = (torch.from_numpy(inputs[key][number : number + 1]).float() for key in "AB")
        losses = run_step(phases, state, [Batch(a, b)], apart=execution.apart).losses
        for key, value in known.items():
            assert losses[LOSSES[key]].item() == pytest.approx(value, rel=1e-4), (number, key)


def test_learning_rate_of_every_epoch() -> None:
    for run in RUNS:
        trace = json.loads((GOLDEN / run / "trace.json").read_text())
        options = {key: trace["options"][key] for key in ("n_epochs", "n_epochs_decay", "lr")}
        settings = TrainingSettings(**options)
        rates = [learning_rate(settings, epoch) for epoch in range(1, settings.last_epoch + 1)]
        assert rates == pytest.approx(trace["lr_at_epoch"], rel=1e-12)
