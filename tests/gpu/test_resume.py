"""A run that is resumed on a GPU: bit by bit where that was asked for, else how far it ends."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import build_recipe

from cyclegan import checkpoint
from cyclegan.cli import run
from cyclegan.data.batch import Batch
from cyclegan.device import tune
from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings, from_table
from cyclegan.training.captured import step_of

FAST = Execution(batch_discriminator=True, backward_per_part=True, fused=True)
WAYS = {
    "plain": Execution(),
    "fp32": FAST,
    "bf16": replace(FAST, channels_last=True, precision="bf16"),
    "bf16 light batched": replace(
        FAST, channels_last=True, precision="bf16", recompute="light", batch_generator=True
    ),
}
#: What draws on the device, and layers whose gradients are added up in any order.
SETTINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "resized": {"generator": {"upsampling": "resize", "downsampling": "blurred"}},
    "antialiased": {"generator": {"upsampling": "antialiased", "downsampling": "antialiased"}},
    "augmented, with dropout": {
        "generator": {"dropout": True},
        "losses": {"diffaugment": ("color", "translation", "cutout")},
    },
}
STEPS = 6


def settings_of(name: str) -> Settings:
    table = {
        "generator": {"ngf": 16, "n_blocks": 2},
        "discriminator": {"ndf": 16},
        "training": {"ema_decay": 0.9, "pool_size": 3},
    }
    for part, values in SETTINGS[name].items():
        table[part] = table.get(part, {}) | values
    return from_table(table, "test")


def ended(
    settings: Settings, execution: Execution, device: torch.device, cut: int | None = None
) -> dict[str, torch.Tensor]:
    """Weights and averages after some steps, taken up from a state in `cut` where that is given."""
    execution = replace(execution, device=device.type)
    recipe = build_recipe(settings, execution, device=device)
    chance = torch.Generator().manual_seed(3)
    for number in range(STEPS):
        if number == cut:
            kept = copy.deepcopy(recipe.state.state_dict())
            torch.manual_seed(99)
            recipe = build_recipe(settings, execution, device=device)
            recipe.state.load_state_dict(kept, device)
        a, b = torch.rand(2, 2, 3, 64, 64, generator=chance) * 2 - 1
        batch = Batch(a, b).to(device)
        step_of(recipe.phases, recipe.state, execution)([batch], number)
    return {
        f"{group}/{name}.{key}": value.detach().clone()
        for group in ("networks", "averages")
        for name, weights in recipe.state.state_dict()[group].items()
        for key, value in weights.items()
    }


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[key].double() - other[key].double()).abs().max()) for key in one)


#: Every way as it is, and the one that most runs take with everything.
RUNS = dict.fromkeys([*((way, "as it is") for way in WAYS), *(("bf16", what) for what in SETTINGS)])


@pytest.mark.parametrize(("way", "what"), RUNS)
def test_a_deterministic_run_goes_on_bit_by_bit(device: torch.device, way: str, what: str) -> None:
    tune(device, same_size=True, deterministic=True)
    settings = settings_of(what)
    whole = ended(settings, WAYS[way], device)
    assert distance(whole, ended(settings, WAYS[way], device)) == 0
    assert distance(whole, ended(settings, WAYS[way], device, cut=3)) == 0


@pytest.mark.parametrize("way", WAYS)
def test_any_other_run_goes_on_nearly_so(
    device: torch.device, figures: dict[str, Any], way: str
) -> None:
    """Adam moves a weight by a learning rate a step, whatever rounding made of its gradient."""
    tune(device, same_size=True)
    settings = settings_of("as it is")
    whole = ended(settings, WAYS[way], device)
    again = distance(whole, ended(settings, WAYS[way], device))
    resumed = distance(whole, ended(settings, WAYS[way], device, cut=3))
    figures[f"{way}: largest difference of a weight"] = {"again": again, "resumed": resumed}
    assert resumed <= 2 * STEPS * settings.training.lr


def test_a_deterministic_compiled_run_goes_on_bit_by_bit(
    device: torch.device, compiling: None
) -> None:
    tune(device, same_size=True, deterministic=True)
    settings, way = settings_of("as it is"), replace(WAYS["bf16"], compiled=True)
    whole = ended(settings, way, device)
    assert distance(whole, ended(settings, way, device, cut=3)) == 0


def test_the_command_goes_on_bit_by_bit(
    device: torch.device, tiny_flags: list[str], tmp_path: Path
) -> None:
    """Files, loading and pinned memory included."""
    how = ["--device", device.type, "--deterministic", "--precision", "bf16", "--ema_decay", "0.9"]
    flags = ["train", *tiny_flags, *how, "--dropout", "--n_epochs_decay", "0"]
    assert run([*flags, "--name", "whole", "--n_epochs", "2"]) == 0
    assert run([*flags, "--name", "cut", "--n_epochs", "1"]) == 0
    runs = tmp_path / "checkpoints"
    on = ["--checkpoints_dir", str(runs), "--continue_train"]
    assert run(["train", "--name", "cut", *on, "--n_epochs", "2"]) == 0
    whole, cut = (checkpoint.load(runs / name / "latest.pt") for name in ("whole", "cut"))
    assert whole.digests == cut.digests
    assert whole.position == cut.position
