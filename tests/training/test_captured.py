"""A step as one graph computes the same as without; with a stand-in for CUDA graphs."""

from collections.abc import Callable
from dataclasses import fields, replace
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from training.whole_steps import (
    STEPS,
    follow,
    state_of,
    with_pretraining,
    with_schedule,
    with_turns,
)

from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings
from cyclegan.training.captured import CapturedStep, step_of
from cyclegan.training.pool import ImagePool
from cyclegan.training.step import StepResult
from cyclegan.translation import Translation

CPU = torch.device("cpu")
FAST = Execution(channels_last=True, batch_discriminator=True, backward_per_part=True, fused=True)


class StandIn:
    """Computes at every replay what CUDA would launch, into the memory that was captured."""

    captured = replays = 0

    def warm_up(self, compute: Callable[[], StepResult]) -> StepResult:
        return compute()

    def capture(self, compute: Callable[[], StepResult]) -> StepResult:
        StandIn.captured += 1
        self._compute, self._result, self._new = compute, compute(), True
        return self._result

    def replay(self) -> None:
        StandIn.replays += 1
        if self._new:  # a stand-in has to compute while it captures
            self._new = False
            return
        made = self._compute()
        for name, loss in made.losses.items():
            self._result.losses[name].copy_(loss)
        for name, translation in made.translations.items():
            for field in fields(Translation):
                kept, new = (
                    getattr(t, field.name) for t in (self._result.translations[name], translation)
                )
                if kept is not None and kept is not new:
                    kept.copy_(new)


@pytest.fixture(autouse=True)
def counts() -> None:
    StandIn.captured = StandIn.replays = 0


def test_a_captured_step_trains_as_ever(tiny_settings: Settings) -> None:
    """With pools, averages, turns, a short batch and a rate that changes."""
    settings = with_turns(tiny_settings)
    eager, expected = follow(settings, FAST, CPU)
    graphs, losses = follow(settings, FAST, CPU, StandIn)
    assert StandIn.captured == 2, "one with the identity, one without"
    assert STEPS - 8 <= StandIn.replays < STEPS - 6
    for known, found in zip(expected, losses, strict=True):
        assert found == pytest.approx(known, rel=1e-4)
    states = state_of(eager), state_of(graphs)
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_a_captured_step_has_the_weights_of_the_moment(tiny_settings: Settings) -> None:
    """Numbers would stay what they were when the step was captured."""
    settings = with_schedule(tiny_settings)
    _, expected = follow(settings, FAST, CPU)
    _, losses = follow(settings, FAST, CPU, StandIn)
    assert StandIn.captured == 2, "no further one for other weights"
    for known, found in zip(expected, losses, strict=True):
        assert found == pytest.approx(known, rel=1e-4)


def test_a_run_is_captured_once_its_generators_are_pretrained(tiny_settings: Settings) -> None:
    """Before, the pools have no images that would say how large they are."""
    settings = with_pretraining(tiny_settings)
    _, expected = follow(settings, FAST, CPU)
    _, losses = follow(settings, FAST, CPU, StandIn)
    assert StandIn.captured == 2, "one with the identity, one without"
    assert "pretraining_a_to_b" in losses[4]
    assert "cycle_a_to_b" in losses[5]
    for known, found in zip(expected, losses, strict=True):
        assert found == pytest.approx(known, rel=1e-4)


def test_a_step_that_can_not_be_captured_is_computed_as_usual(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pools: list[ImagePool] = []
    keep = ImagePool.keep_in_place

    def kept(pool: ImagePool) -> None:
        keep(pool)
        pools.append(pool)

    class Refusing(StandIn):
        """Ends a capture that has asked a pool for images; on a GPU nothing is computed by then."""

        def capture(self, compute: Callable[[], StepResult]) -> StepResult:
            StandIn.captured += 1
            with patch.object(Tensor, "index_copy_"):
                pools[0].query(torch.zeros(1, 3, 24, 24))
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

    settings = with_turns(tiny_settings)
    _, expected = follow(settings, FAST, CPU)
    monkeypatch.setattr(ImagePool, "keep_in_place", kept)
    recipe, losses = follow(settings, FAST, CPU, Refusing)
    assert (StandIn.captured, StandIn.replays) == (1, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA graph capture of the training step failed, running without it, slower (operation not "
        "permitted when stream is capturing)"
    ]
    for known, found in zip(expected, losses, strict=True):
        assert found == pytest.approx(known, rel=1e-4)
    groups = [g for each in recipe.state.optimizers.values() for g in each.param_groups]
    assert all(isinstance(group["lr"], float) for group in groups)


def test_the_optimizers_rates_are_numbers_again_after_capturing(tiny_settings: Settings) -> None:
    recipe, _ = follow(with_turns(tiny_settings), FAST, CPU, StandIn)
    for optimizer in recipe.state.optimizers.values():
        for group in optimizer.param_groups:
            assert isinstance(group["lr"], float)
            assert not group["capturable"]


def test_float16_is_not_captured(tiny_settings: Settings) -> None:
    """Whether its gradients overflowed has to be known before the next step."""
    recipe, _ = follow(tiny_settings, FAST, CPU)
    whole = replace(FAST, whole_step=True)
    assert isinstance(step_of(recipe.phases, recipe.state, whole), CapturedStep)
    assert not isinstance(step_of(recipe.phases, recipe.state, FAST), CapturedStep)
    scaled = replace(recipe.state, scaler=torch.amp.GradScaler("cpu"))
    assert not isinstance(step_of(recipe.phases, scaled, whole), CapturedStep)


@pytest.mark.parametrize("before", [1, 5])
def test_a_pool_in_place_draws_and_keeps_alike(before: int) -> None:
    """From while it fills or from later on; two images of a batch may want the same slot."""
    chance = torch.Generator().manual_seed(0)
    batches = [torch.rand(3, 2, 4, 4, generator=chance) for _ in range(60)]
    usual, placed = ImagePool(5, seed=1), ImagePool(5, seed=1)
    for number, images in enumerate(batches):
        if number == before:
            placed.keep_in_place()
        placed.decide(len(images))
        assert torch.equal(placed.query(images), usual.query(images)), number
    states = [pool.state_dict() for pool in (usual, placed)]
    assert torch.equal(states[0]["random"], states[1]["random"])
    for kept, expected in zip(states[1]["images"], states[0]["images"], strict=True):
        assert torch.equal(kept, expected)


def test_a_state_is_not_changed_by_a_pool_in_place() -> None:
    pool = ImagePool(2)
    pool.query(torch.ones(1, 1, 2, 2))
    pool.keep_in_place()
    state = pool.state_dict()
    for value in range(20):
        pool.decide(1)
        pool.query(torch.full((1, 1, 2, 2), float(value)))
    assert [stored.mean().item() for stored in state["images"]] == [1]
