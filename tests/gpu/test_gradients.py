"""The gradients of a step on a GPU, in every fast way, against the plain way in float64."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from conftest import build_recipe

from cyclegan.data.batch import Batch
from cyclegan.device import tune
from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings, from_table
from cyclegan.training.captured import step_of

FAST = Execution(batch_discriminator=True, backward_per_part=True, fused=True)
LAST = replace(FAST, channels_last=True)


#: What is left out or counted twice is half of a gradient or more.
EXACT, TF32, BF16 = 0.01, 0.1, 0.4


@dataclass(frozen=True)
class Way:
    """An execution, and how far the gradients of a network may be from exact ones."""

    execution: Execution
    limit: float
    """of the length of the difference, relative: where an absolute value or a ReLU bends, rounding
    turns whole gradients round"""
    tuned: bool = False
    """whether TensorFloat-32 is allowed, as it is while training"""


WAYS = {
    "plain": Way(Execution(), EXACT),
    "as classic": Way(Execution(), TF32, tuned=True),
    "fp32": Way(FAST, EXACT),
    "fp32 last": Way(LAST, EXACT),
    "fp32 last light": Way(replace(LAST, recompute="light"), EXACT),
    "fp32 last full": Way(replace(LAST, recompute="full"), EXACT),
    "fp32 last batched": Way(replace(LAST, batch_generator=True), EXACT),
    "tf32": Way(FAST, TF32, tuned=True),
    "tf32 last": Way(LAST, TF32, tuned=True),
    "bf16": Way(replace(LAST, precision="bf16"), BF16, tuned=True),
    "bf16 light batched": Way(
        replace(LAST, precision="bf16", recompute="light", batch_generator=True), BF16, tuned=True
    ),
}
COMPILED = {
    "bf16 compiled": Way(replace(LAST, precision="bf16", compiled=True), BF16, tuned=True),
}
BATCHES = (1, 2, 8)

Gradients = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Wide enough for the kernels that large networks use."""
    return from_table(
        {"generator": {"ngf": 16, "n_blocks": 2}, "discriminator": {"ndf": 16}}, "test"
    )


@pytest.fixture(scope="module")
def exact(device: torch.device, settings: Settings) -> Iterator[Callable[[int], Gradients]]:
    """The gradients by the plain way in float64, by the number of images."""
    known: dict[int, Gradients] = {}

    def of(batch: int) -> Gradients:
        if batch not in known:
            known[batch] = gradients(settings, Execution(), batch, device, torch.float64)
        return known[batch]

    yield of
    known.clear()


def gradients(
    settings: Settings,
    execution: Execution,
    batch: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Gradients:
    """Of each network, as one vector in float64; of the second step of two on the same images.

    Nothing is learnt in the first, in which a compiled network makes its graphs.
    """
    recipe = build_recipe(settings, replace(execution, device=device.type), device=device)
    seen: dict[str, dict[str, torch.Tensor]] = {}
    for name, network in recipe.state.networks.items():
        seen[name] = {}
        for key, weights in network.to(dtype).named_parameters():
            weights.register_post_accumulate_grad_hook(
                lambda p, key=key, own=seen[name]: own.update({key: p.grad.double().flatten()})
            )
    if execution.backward_per_part:
        recipe.state.reserve()
    for group in (g for each in recipe.state.optimizers.values() for g in each.param_groups):
        group["lr"] = 0.0
    chance = torch.Generator().manual_seed(3)
    a, b = torch.rand(2, batch, 3, 64, 64, generator=chance, dtype=torch.float64) * 2 - 1
    images = Batch(a.to(device, dtype), b.to(device, dtype))
    for number in range(2):
        step_of(recipe.phases, recipe.state, execution)([images], number)
    return {name: torch.cat([own[key] for key in sorted(own)]) for name, own in seen.items()}


def assert_near(way: Way, found: Gradients, exact: Gradients, figures: dict, name: str) -> None:
    distances = {
        network: float((found[network] - value).norm() / value.norm())
        for network, value in exact.items()
    }
    figures[name] = {network: float(f"{value:.3g}") for network, value in distances.items()}
    assert max(distances.values()) < way.limit, distances


def switched(way: Way, device: torch.device) -> None:
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    if way.tuned:
        tune(device, same_size=True)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", WAYS)
def test_a_step_has_the_exact_gradients(
    device: torch.device,
    settings: Settings,
    exact: Callable[[int], Gradients],
    figures: dict[str, Any],
    name: str,
    batch: int,
) -> None:
    way, known = WAYS[name], exact(batch)
    switched(way, device)
    found = gradients(settings, way.execution, batch, device)
    assert_near(way, found, known, figures, f"batch {batch} {name}")


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_step_has_them_too(
    device: torch.device,
    settings: Settings,
    exact: Callable[[int], Gradients],
    figures: dict[str, Any],
    compiling: None,
    name: str,
) -> None:
    way, known = COMPILED[name], exact(2)
    switched(way, device)
    found = gradients(settings, way.execution, 2, device)
    assert_near(way, found, known, figures, f"batch 2 {name}")
