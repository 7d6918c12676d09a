"""What changes while training, taken up again where memory is laid out otherwise."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from conftest import build_recipe

from cyclegan import checkpoint
from cyclegan.assemble import make_recipe
from cyclegan.checkpoint import Checkpoint
from cyclegan.data.feed import Batch
from cyclegan.execution.execution import Execution
from cyclegan.position import Position
from cyclegan.settings import Settings, from_table
from cyclegan.training.phase import Recipe
from cyclegan.training.step import run_step

#: How weights lie, and which kernel walks through them: as --plain and as what is chosen.
LAYOUTS = {
    "plain": Execution(),
    "fused": Execution(apart=True, fused=True),
    "channels last": Execution(channels_last=True, apart=True, fused=True),
    "channels last, one by one": Execution(channels_last=True),
}


@pytest.fixture
def settings(tiny: dict) -> Settings:
    tiny["training"] |= {"ema_decay": 0.9, "lr": 0.0002}
    return from_table(tiny, "test")


def after_a_step(settings: Settings, execution: Execution) -> Recipe:
    recipe = build_recipe(settings, execution)
    torch.manual_seed(1)
    batch = Batch(torch.rand(2, 3, 24, 24) * 2 - 1, torch.rand(2, 3, 24, 24) * 2 - 1)
    run_step(recipe.phases, recipe.state, [batch], apart=execution.apart)
    return recipe


def update(recipe: Recipe) -> dict[str, torch.Tensor]:
    """The weights after an update by gradients that are the same whatever the layout."""
    for optimizer in recipe.state.optimizers.values():
        for number, weights in enumerate(optimizer.param_groups[0]["params"]):
            torch.manual_seed(number)
            weights.grad = torch.empty_like(weights).copy_(torch.randn(weights.shape))
        optimizer.step()
    recipe.state.averages.follow(recipe.state.networks, 5)
    groups = (recipe.state.networks, recipe.state.averages.networks)
    return {
        f"{number}/{name}/{key}": value.detach().cpu()
        for number, group in enumerate(groups)
        for name, network in group.items()
        for key, value in network.state_dict().items()
    }


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("before", "after"), [*product(LAYOUTS, repeat=2)])
@pytest.mark.parametrize("to_gpu", [True, False])
def test_a_run_goes_on_alike_on_another_device(
    settings: Settings, to_gpu: bool, before: str, after: str
) -> None:
    there, here = torch.device("cuda"), torch.device("cpu")
    trained = after_a_step(settings, LAYOUTS[before])
    if not to_gpu:  # by way of the GPU and back
        away = make_recipe(settings, LAYOUTS[after], there)
        away.state.load_state_dict(trained.state.state_dict(), there)
        trained = away
    target = there if to_gpu else here
    resumed = make_recipe(settings, LAYOUTS[after], target)
    resumed.state.load_state_dict(trained.state.state_dict(), target)
    expected, found = update(trained), update(resumed)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7, msg=name)


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
