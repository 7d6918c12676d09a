"""What holds for all recipes: a loss with state is one entry of the table for each of them."""

from pathlib import Path

import pytest
import torch
from conftest import build_recipe, smooth_image
from exporting import save_run
from torch import nn

from cyclegan.data.batch import Batch
from cyclegan.losses.context import Loss, LossContext
from cyclegan.losses.terms import TERMS, Term
from cyclegan.recipes import RECIPES
from cyclegan.settings import Settings, from_record, from_table
from cyclegan.training.step import run_step


def tiny_of(model: str, teacher: Path, **weights: float) -> Settings:
    table = {
        "run": {"model": model},
        "generator": {"ngf": 2, "n_blocks": 1},
        "discriminator": {"ndf": 2},
        "perceptual": {"loss_features": "plain"},
        "fusion": {"fusion_layer": "conv1", "decoder_width": 4},
        "losses": {
            "lambda_content": 1.0,
            "lambda_style": 1.0,
            "teacher": str(teacher),
            "weights": weights,
        },
    }
    return from_record(table, "test")


def mean_kept(context: LossContext) -> Loss:
    """The fake's distance from one colour, which is learned."""
    colour = context.keep("colour", nn.Conv2d(1, 3, 1))
    return lambda translation: (translation.fake - colour.bias.view(1, 3, 1, 1)).square().mean()


@pytest.fixture
def batch() -> Batch:
    return Batch(torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 32, 32) * 2 - 1)


@pytest.mark.parametrize("model", RECIPES)
def test_a_loss_with_state_is_trained_saved_and_logged(
    model: str, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth_image(1).save(tmp_path / "painting.png")
    monkeypatch.setitem(TERMS, "colour", Term(mean_kept))
    teacher = save_run(tmp_path / "teacher", {"ngf": 2, "n_blocks": 1}, {})
    recipe = build_recipe(tiny_of(model, teacher, colour=1.0), targets=[tmp_path / "painting.png"])
    before = recipe.state.state_dict()["networks"]["colour_a_to_b"]["bias"].clone()
    losses = run_step(recipe.phases, recipe.state, [batch]).losses
    assert losses["colour_a_to_b"] > 0
    after = recipe.state.state_dict()["networks"]["colour_a_to_b"]["bias"]
    assert not torch.equal(before, after)


def test_without_a_term_that_needs_them_there_are_no_discriminators(batch: Batch) -> None:
    table = {
        "generator": {"ngf": 2, "n_blocks": 1},
        "losses": {"weights": {"adversarial": 0.0}},
        "training": {"discriminator_warmup": 9},
    }
    recipe = build_recipe(from_table(table, "test"))
    assert set(recipe.state.networks) == {"generator_a_to_b", "generator_b_to_a"}
    assert [phase.begins for phase in recipe.phases] == [0]
    losses = run_step(recipe.phases, recipe.state, [batch]).losses
    assert {name[:5] for name in losses} == {"cycle", "ident"}
