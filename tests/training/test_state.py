"""What changes while training, taken up again where memory is laid out otherwise."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from conftest import build_recipe
from training.layouts import LAYOUTS, after_a_step, update

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.execution.execution import Execution
from cyclegan.run import Position
from cyclegan.settings import Settings, from_table


@pytest.fixture
def settings(tiny: dict) -> Settings:
    tiny["training"] |= {"ema_decay": 0.9, "lr": 0.0002}
    return from_table(tiny, "test")


@pytest.mark.parametrize(("before", "after"), [*product(LAYOUTS, repeat=2)])
def test_a_run_goes_on_alike_in_another_layout(
    settings: Settings, tmp_path: Path, before: str, after: str
) -> None:
    trained = after_a_step(settings, LAYOUTS[before])
    path = checkpoint.save(
        Checkpoint(settings.table(), trained.state.state_dict(), Position()), tmp_path
    )
    resumed = build_recipe(settings, LAYOUTS[after])
    resumed.state.load_state_dict(checkpoint.load(path).state, torch.device("cpu"))
    for optimizer in resumed.state.optimizers.values():
        for weights, learnt in optimizer.state.items():
            assert learnt["exp_avg"].stride() == learnt["exp_avg_sq"].stride() == weights.stride()
    expected, found = update(trained), update(resumed)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-8, msg=name)


def test_moments_of_other_weights_are_refused(settings: Settings) -> None:
    recipe = after_a_step(settings, LAYOUTS["plain"])
    state = recipe.state.state_dict()
    state["optimizers"]["generators"][0]["exp_avg"] = torch.zeros(1)
    with pytest.raises(ValueError, match="generators: moments of other weights"):
        recipe.state.load_state_dict(state, torch.device("cpu"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda moments: moments.pop(0), "moments are missing"),
        (lambda moments: moments[0].pop("exp_avg_sq"), "moments of other weights"),
        (lambda moments: moments.update({0: moments[1]}), "moments of other weights"),
    ],
    ids=["of a weight", "of squares", "of another weight"],
)
def test_adam_goes_on_from_all_its_moments_or_not_at_all(
    settings: Settings, damage: Callable[[dict], None], says: str
) -> None:
    state = after_a_step(settings, Execution()).state.state_dict()
    fresh = build_recipe(settings, Execution()).state
    fresh.load_state_dict(state, torch.device("cpu"))
    damage(state["optimizers"]["generators"])
    with pytest.raises(ValueError, match=f"^generators: {says}$"):
        fresh.load_state_dict(state, torch.device("cpu"))
