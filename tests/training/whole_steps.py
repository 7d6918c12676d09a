"""The same run, step by step as ever and as one graph a step."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from conftest import build_recipe

from cyclegan.data.batch import Batch
from cyclegan.execution.execution import Execution
from cyclegan.settings import Settings
from cyclegan.training.captured import CapturedStep, Graph, Step
from cyclegan.training.step import Recipe, run_step

STEPS = 16
SHORT = 9  # a step with fewer images: the last of an epoch
SLOWER = 11  # the step from which on the rate is half as large


def follow(
    settings: Settings,
    execution: Execution,
    device: torch.device,
    make_graph: Callable[[], Graph] | None = None,
) -> tuple[Recipe, list[dict[str, float]]]:
    """Train some steps, in graphs where asked for; return the recipe and each step's losses."""
    recipe = build_recipe(settings, execution, device=device)
    step = _eager(recipe) if make_graph is None else _captured(recipe, make_graph)
    losses = []
    for number, batch in enumerate(_batches(settings, device)):
        for phase in recipe.phases:
            for group in phase.optimizer.param_groups:
                group["lr"] = settings.training.lr * (0.5 if number >= SLOWER else 1.0)
        made = step([batch], number).losses
        losses.append({name: loss.item() for name, loss in made.items()})
    return recipe, losses


def state_of(recipe: Recipe) -> dict[str, Any]:
    """Weights, averages and pools, by name."""
    state = recipe.state.state_dict()
    networks = {
        f"{group}/{name}/{key}": value
        for group in ("networks", "averages")
        for name, weights in state[group].items()
        for key, value in weights.items()
    }
    pools = {
        f"{name}/{number}": image
        for name, pool in state["pools"].items()
        for number, image in enumerate(pool["images"])
    }
    return networks | pools


def _eager(recipe: Recipe) -> Step:
    return lambda batches, number: run_step(recipe.phases, recipe.state, batches, number=number)


def _captured(recipe: Recipe, make_graph: Callable[[], Graph]) -> Step:
    return CapturedStep(recipe.phases, recipe.state, make_graph)


def _batches(settings: Settings, device: torch.device) -> Sequence[Batch]:
    chance, data = torch.Generator().manual_seed(2), settings.data

    def draw(count: int) -> torch.Tensor:
        shape = (count, 3, data.crop_size, data.crop_size)
        return (torch.rand(shape, generator=chance) * 2 - 1).to(device)

    sizes = [max(1, data.batch_size - (number == SHORT)) for number in range(STEPS)]
    return [Batch(draw(size), draw(size)) for size in sizes]


def with_turns(settings: Settings) -> Settings:
    """With all that differs from step to step: pools, averages, an identity every second step."""
    recipe = settings.recipe
    return replace(
        settings,
        data=replace(settings.data, batch_size=2),
        recipe=replace(
            recipe,
            losses=replace(recipe.losses, identity_every=2, identity_steps=100),
            training=replace(recipe.training, pool_size=3),
        ),
        training=replace(settings.training, ema_decay=0.9),
    )


def with_schedule(settings: Settings) -> Settings:
    """With turns, and weights that rise, fall and begin at nothing."""
    recipe = settings.recipe
    losses = replace(
        recipe.losses, lambda_A="0 -> 9", lambda_identity="2 -> 0", lambda_r1="0 -> 1 at 0.5"
    )
    return with_turns(replace(settings, recipe=replace(recipe, losses=losses)))


def with_pretraining(settings: Settings) -> Settings:
    """With turns, after some images that the generators only repeat."""
    turning = with_turns(settings)
    training = replace(turning.recipe.training, pretrain=9)
    return replace(turning, recipe=replace(turning.recipe, training=training))
