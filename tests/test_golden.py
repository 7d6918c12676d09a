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


def load(run: str) -> tuple[Path, dict, TrainingState, tuple[Phase, ...]]:
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
    recipe = build_recipe(settings)
    state, phases = recipe.state, recipe.phases
    for short, name in classic.NETWORKS.items():
        path = folder / f"initial_net_{short}.pth"
        classic.load_into(state.networks[name], classic.read_weights(path), path)
    return folder, trace, state, phases


def play(choices: list[str | int]) -> Iterator[int | None]:
    """The pool's decisions of the trace; while it fills it has none to make."""
    return (None if choice == "current" else choice for choice in choices if choice != "insert")


@pytest.mark.parametrize("run", RUNS)
def test_initial_networks_give_the_classics_outputs(run: str) -> None:
    folder, _, state, _ = load(run)
    known = np.load(folder / "forward.npz")
    x = torch.from_numpy(known["input"]).float()
    for key, name in (("G_A", "generator_a_to_b"), ("D_A", "discriminator_b")):
        with torch.no_grad():
            output = state.networks[name](x).numpy()
        assert output.shape == known[key].shape
        assert np.abs(output - known[key]).max() < 1e-5


@pytest.mark.parametrize("run", RUNS)
def test_training_steps_agree_in_float64(run: str) -> None:
    folder, trace, state, phases = load(run)
    for network in state.networks.values():
        network.double()
    for domain, name in (("B", "discriminator_b"), ("A", "discriminator_a")):
        choices = play(trace["pool_choices"][domain] if trace["pool_choices"] else [])
        state.pools[name].choose = lambda choices=choices: next(choices)
    inputs = np.load(folder / "inputs.npz")
    assert len(trace["losses"]) == len(inputs["A"]) >= 8
    for number, known in enumerate(trace["losses"]):
        a, b = (torch.from_numpy(inputs[key][number : number + 1]).double() for key in "AB")
        losses = run_step(phases, state.networks, Batch(a, b)).losses
        for key, value in known.items():
            assert losses[LOSSES[key]].item() == pytest.approx(value, rel=1e-4), (number, key)
    for short, name in classic.NETWORKS.items():
        final = classic.read_weights(folder / f"final_net_{short}.pth")
        for key, tensor in state.networks[name].state_dict().items():
            assert (tensor - final[key]).abs().max() < 1e-6, (name, key)


@pytest.mark.parametrize("run", RUNS)
def test_first_steps_agree_in_float32(run: str) -> None:
    folder, trace, state, phases = load(run)
    inputs = np.load(folder / "inputs.npz")
    for number, known in enumerate(trace["losses"][:3]):  # the pool is still filling
        a, b = (torch.from_numpy(inputs[key][number : number + 1]).float() for key in "AB")
        losses = run_step(phases, state.networks, Batch(a, b)).losses
        for key, value in known.items():
            assert losses[LOSSES[key]].item() == pytest.approx(value, rel=1e-4), (number, key)


def test_learning_rate_of_every_epoch() -> None:
    for run in RUNS:
        trace = json.loads((GOLDEN / run / "trace.json").read_text())
        options = {key: trace["options"][key] for key in ("n_epochs", "n_epochs_decay", "lr")}
        settings = TrainingSettings(**options)
        rates = [learning_rate(settings, epoch) for epoch in range(1, settings.last_epoch + 1)]
        assert rates == pytest.approx(trace["lr_at_epoch"], rel=1e-12)
