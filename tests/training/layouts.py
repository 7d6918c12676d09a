"""A training's state, made and updated in each of the ways that memory is laid out."""

import torch
from conftest import build_recipe

from cyclegan.data.batch import Batch
from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings
from cyclegan.training.step import Recipe, run_step

#: How weights lie, and which kernel walks through them: as --plain and as what is chosen.
LAYOUTS = {
    "plain": Execution(),
    "fused": Execution(backward_per_part=True, fused=True),
    "channels last": Execution(channels_last=True, backward_per_part=True, fused=True),
    "channels last, one by one": Execution(channels_last=True),
}


def after_a_step(settings: Settings, execution: Execution) -> Recipe:
    """A recipe on the CPU whose optimizers have learnt something."""
    recipe = build_recipe(settings, execution)
    torch.manual_seed(1)
    batch = Batch(torch.rand(2, 3, 24, 24) * 2 - 1, torch.rand(2, 3, 24, 24) * 2 - 1)
    run_step(recipe.phases, recipe.state, [batch], backward_per_part=execution.backward_per_part)
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
