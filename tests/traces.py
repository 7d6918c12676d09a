"""The classic's traces, trained along by this package on any device."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from conftest import GOLDEN, build_recipe

from cyclegan import classic
from cyclegan.data.batch import Batch
from cyclegan.execution.execution import Execution
from cyclegan.settings import from_table
from cyclegan.training.state import TrainingState
from cyclegan.training.step import Phase, run_step

RUNS = ["resnet9_nopool", "resnet6_pool3"]
CPU = torch.device("cpu")
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
        channels_last=True,
        recompute="light",
        batch_discriminator=True,
        backward_per_part=True,
        fused=True,
    ),
    "batched": Execution(
        channels_last=True,
        recompute="full",
        batch_generator=True,
        batch_discriminator=True,
        fused=True,
    ),
    "compiled": Execution(
        channels_last=True, compiled=True, batch_discriminator=True, backward_per_part=True
    ),
}


#: The steps in which rounding stays rounding. The networks of 4 maps amplify any difference about
#: tenfold a step: plain weights changed by 2e-16 end as far from the trace of resnet6_pool3.
STEADY = {"resnet9_nopool": 8, "resnet6_pool3": 12}


def load(
    run: str, execution: Execution, device: torch.device = CPU
) -> tuple[Path, dict, TrainingState, tuple[Phase, ...]]:
    """The folder of a trace, what it tells, and the classic's first weights, ready to train."""
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
    recipe = build_recipe(settings, replace(execution, device=device.type), device=device)
    state, phases = recipe.state, recipe.phases
    for short, name in classic.NETWORKS.items():
        path = folder / f"initial_net_{short}.pth"
        classic.load_into(state.networks[name], classic.read_weights(path), path)
    return folder, trace, state, phases


def play(choices: list[str | int]) -> Iterator[int | None]:
    """The pool's decisions of the trace; while it fills it has none to make."""
    return (None if choice == "current" else choice for choice in choices if choice != "insert")


@dataclass(frozen=True)
class Traced:
    """What a training of ours went through, by the classic's names."""

    known: list[dict[str, float]]
    losses: list[dict[str, float]]
    folder: Path
    weights: dict[str, dict[str, torch.Tensor]]

    @property
    def distance(self) -> float:
        """The largest of any loss from the classic's, relative to it."""
        pairs = zip(self.known, self.losses, strict=False)
        return max(abs(own[key] / known[key] - 1) for known, own in pairs for key in own)


def traced(
    run: str,
    execution: Execution,
    *,
    rounding: float = 0.0,
    steps: int | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device = CPU,
) -> Traced:
    """Train along a trace; the first weights are off by `rounding`, relative."""
    folder, trace, state, phases = load(run, execution, device)
    chance = torch.Generator().manual_seed(0)
    for network in state.networks.values():
        for weights in network.to(dtype).parameters():
            noise = torch.randn(weights.shape, generator=chance, dtype=dtype)
            weights.data.mul_(1 + rounding * noise.to(device))
    if execution.backward_per_part:
        state.reserve()  # in that type too
    for domain, name in (("B", "discriminator_b"), ("A", "discriminator_a")):
        choices = play(trace["pool_choices"][domain] if trace["pool_choices"] else [])
        state.pools[name].choose = lambda choices=choices: next(choices)
    inputs = np.load(folder / "inputs.npz")
    assert len(trace["losses"]) == len(inputs["A"]) >= 8
    losses = []
    for number in range(steps or len(inputs["A"])):
        a, b = (torch.from_numpy(inputs[key][number : number + 1]).to(dtype) for key in "AB")
        batch = Batch(a, b).to(device)
        made = run_step(
            phases, state, [batch], backward_per_part=execution.backward_per_part
        ).losses
        losses.append({short: made[name].item() for short, name in LOSSES.items() if name in made})
    final = {short: state.networks[name].state_dict() for short, name in classic.NETWORKS.items()}
    return Traced(trace["losses"], losses, folder, final)
