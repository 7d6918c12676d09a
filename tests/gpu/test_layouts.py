"""A run goes on alike on another device, however memory is laid out there."""

from copy import deepcopy
from itertools import product

import pytest
import torch
from conftest import build_recipe
from training.layouts import LAYOUTS, after_a_step, update

from cyclegan.settings import Settings, from_table

PAIRS = [*product(LAYOUTS, repeat=2)]


@pytest.fixture
def settings(tiny: dict) -> Settings:
    tiny["training"] |= {"ema_decay": 0.9, "lr": 0.0002}
    return from_table(tiny, "test")


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=map(" to ".join, PAIRS))
@pytest.mark.parametrize("back", [False, True], ids=["there", "and back"])
def test_a_run_goes_on_alike_on_another_device(
    device: torch.device, settings: Settings, back: bool, before: str, after: str
) -> None:
    trained = after_a_step(settings, LAYOUTS[before])
    if back:  # by way of the GPU
        away = build_recipe(settings, LAYOUTS[after], device=device)
        away.state.load_state_dict(deepcopy(trained.state.state_dict()), device)
        trained = away
    target = torch.device("cpu") if back else device
    resumed = build_recipe(settings, LAYOUTS[after], device=target)
    resumed.state.load_state_dict(deepcopy(trained.state.state_dict()), target)
    expected, found = update(trained), update(resumed)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7, msg=name)
