"""A step gives a GPU its work and never waits for it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
import torch
from conftest import build_recipe

from cyclegan.data.batch import Batch
from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings, from_table
from cyclegan.training.captured import step_of
from cyclegan.training.step import LossWatch

#: `waiting_raises` of conftest.
Block = Callable[[], AbstractContextManager[None]]
FAST = Execution("cuda", batch_discriminator=True, backward_per_part=True, fused=True)
BF16 = replace(FAST, channels_last=True, precision="bf16")
WAYS = {
    "plain": Execution("cuda"),
    "fp32": FAST,
    "fp32 last": replace(FAST, channels_last=True),
    "bf16": BF16,
    "bf16 light batched": replace(BF16, recompute="light", batch_generator=True),
    "fp16": replace(BF16, precision="fp16"),
}


@pytest.fixture
def settings(tiny: dict) -> Settings:
    """With an average of the weights, as most presets have, and pools that are full at once."""
    tiny["training"] |= {"ema_decay": 0.99, "pool_size": 2}
    tiny["generator"] |= {"ngf": 16}
    return from_table(tiny, "test")


@pytest.mark.parametrize("way", WAYS)
def test_a_step_does_not_wait(
    cuda: torch.device, waiting_raises: Block, settings: Settings, way: str
) -> None:
    assert watched(settings, WAYS[way], cuda, waiting_raises).broken() == {}


def test_a_compiled_step_does_not_wait(
    cuda: torch.device, waiting_raises: Block, settings: Settings, compiling: None
) -> None:
    way = replace(BF16, compiled=True)
    assert watched(settings, way, cuda, waiting_raises).broken() == {}


def watched(
    settings: Settings, execution: Execution, cuda: torch.device, waiting_raises: Block
) -> LossWatch:
    """What the losses of some steps were noted in; a step that waits raises."""
    recipe = build_recipe(settings, execution, device=cuda)
    watch = LossWatch()
    a, b = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    images = Batch(a, b).pin_memory()

    def step(number: int) -> None:
        on_gpu = [images.to(cuda)]
        made = step_of(recipe.phases, recipe.state, execution)(on_gpu, number)
        watch.note(made, number)

    for number in range(4):  # kernels are loaded, graphs made, pools filled
        step(number)
    with waiting_raises():
        for number in range(4, 8):
            step(number)
    return watch


def test_the_tests_above_see_a_wait(cuda: torch.device, waiting_raises: Block) -> None:
    with waiting_raises(), pytest.raises(RuntimeError, match="synchroniz"):
        torch.ones((), device=cuda).item()
