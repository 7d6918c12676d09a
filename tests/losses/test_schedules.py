"""Loss weights that change over a run: how they are written, and what they are when."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import build_recipe, with_parts
from torch import nn

from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError
from cyclegan.flags import parse_run
from cyclegan.losses import LossSettings, StyleLossSettings, product
from cyclegan.losses.adversarial import ADVERSARIAL, Adversary
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import make_objective, proceeding
from cyclegan.settings import Settings, from_table
from cyclegan.training.step import run_step
from cyclegan.translation import Translation


def settings_of(**losses: object) -> LossSettings:
    settings: Any = from_table({"losses": losses}, "test").recipe
    return settings.losses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 -> 10 at 0.5", [1, 5.5, 10, 10, 10]),
        ("1 -> 10", [1, 3.25, 5.5, 7.75, 10]),
        ("8 -> 0 at 0.25", [8, 0, 0, 0, 0]),
        ("0 -> 4 at 1", [0, 1, 2, 3, 4]),
    ],
)
def test_a_schedule_is_linear_then_constant(text: str, expected: list[float]) -> None:
    weight = product(text)
    assert callable(weight)
    assert [weight(done) for done in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(expected)


def test_numbers_stay_numbers() -> None:
    assert LossSettings(lambda_A=3.0).term_weights("b_to_a")["identity"] == 3.0 * 0.5
    assert LossSettings(lambda_A=3.0).term_weights("a_to_b")["cycle"] == 3.0


def test_the_identity_follows_both_its_weights() -> None:
    losses = settings_of(lambda_A=2, lambda_B="1 -> 3", lambda_identity="4 -> 2 at 0.5")
    forward, back = (losses.term_weights(way)["identity"] for way in ("a_to_b", "b_to_a"))
    assert [forward(done) for done in (0, 0.5, 1)] == [1 * 4, 2 * 2, 3 * 2]
    assert [back(done) for done in (0, 0.5, 1)] == [2 * 4, 2 * 2, 2 * 2]


def test_a_term_that_has_a_weight_at_any_time_is_kept() -> None:
    losses = settings_of(lambda_A="0 -> 1", lambda_B=0, lambda_style="1 -> 0", lambda_tv=0)
    assert list(losses.term_weights("a_to_b")) == ["adversarial", "cycle", "style"]
    assert list(losses.term_weights("b_to_a")) == ["adversarial", "identity", "style"]
    assert list(StyleLossSettings(lambda_style="0 -> 1").term_weights) == ["style"]


def test_the_terms_have_the_weights_of_the_moment() -> None:
    black, grey, white = (torch.full((1, 3, 8, 8), value) for value in (-1.0, 0.0, 1.0))
    translation = Translation(black, grey, white, cycled=grey, identity=white)
    losses = settings_of(lambda_A="0 -> 4 at 0.5", lambda_B=2, lambda_identity="1 -> 3")
    weights = losses.term_weights("a_to_b")
    objective = make_objective(
        {name: weights[name] for name in ("cycle", "identity")}, LossContext()
    )
    proceed = proceeding([objective], steps=8)
    expected = {0: (0, 2 * 1), 2: (2, 2 * 1.5), 4: (4, 2 * 2), 6: (4, 2 * 2.5), 9: (4, 2 * 3)}
    for step, (cycle, identity) in expected.items():
        proceed(step)  # both differences are 1
        made = {name: loss.item() for name, loss in objective(translation).items()}
        assert made == pytest.approx({"cycle": cycle, "identity": identity}), step
        assert objective.only("identity", times=2)(translation)["identity"] == 2 * identity


def test_penalties_follow_their_schedules() -> None:
    def penalty(discriminator: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return torch.ones(())

    context = LossContext()
    weighted = [(penalty, context.weigh(product("0 -> 5")))]
    judge = Adversary(nn.Identity(), nn.Identity(), ADVERSARIAL["lsgan"], weighted)
    images = torch.zeros(1, 3, 4, 4)
    without = judge.loss(images, images).item()
    context.proceed(0.5)
    assert judge.loss(images, images).item() == pytest.approx(without + 2.5)


def test_a_step_sums_what_it_says(tiny_settings: Settings) -> None:
    """The first step's losses are those of the first weights; R1 starts from nothing."""
    scheduled = settings_of(lambda_A="5 -> 9", lambda_B=5, lambda_r1="0 -> 1")
    plain = LossSettings(lambda_A=5.0, lambda_B=5.0)
    batch = Batch(torch.rand(1, 3, 24, 24) * 2 - 1, torch.rand(1, 3, 24, 24) * 2 - 1)
    made = []
    for losses in (scheduled, plain):
        recipe = build_recipe(with_parts(tiny_settings, losses=losses))
        step = run_step(recipe.phases, recipe.state, [batch], number=0)
        made.append({name: loss.item() for name, loss in step.losses.items()})
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("1 -> 10 at 0.5", "1 -> 10 at 0.5"),
        ("1.0->4 at .5", "1 -> 4 at 0.5"),
        (" 1e1 -> 0.25 at 1 ", "10 -> 0.25"),
    ],
)
def test_flags_and_presets_take_schedules_and_keep_them_in_one_form(typed: str, kept: str) -> None:
    flags = parse_run(["--lambda_A", typed], Settings(), prog="cyclegan train", about="").settings
    preset = from_table({"losses": {"lambda_A": typed}}, "mine.toml")
    for settings in (flags, preset, from_table(flags.table(), "settings.toml")):
        assert settings.table()["losses"]["lambda_A"] == kept


def test_additional_terms_take_schedules() -> None:
    flags = ["--weights", "consistency", "1 -> 2", "content", "3"]
    recipe: Any = parse_run(flags, Settings(), prog="", about="").settings.recipe
    assert recipe.losses.weights == {"consistency": "1 -> 2", "content": 3.0}


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("1 -> x", "input should be a valid number, or a schedule such as '1 -> 10 at 0.5'"),
        ("x", "input should be a valid number, or a schedule such as '1 -> 10 at 0.5'"),
        ("1 -> -2", "input should be a valid number, or a schedule such as '1 -> 10 at 0.5'"),
        ("1 -> 2 at 50%", "input should be a valid number, or a schedule such as"),
        ("1 -> 2 at 2", "share of the run above 0 and up to 1"),
        ("1 -> 2 at 0", "share of the run above 0 and up to 1"),
    ],
)
def test_what_is_no_schedule_is_one_line(typed: str, why: str) -> None:
    with pytest.raises(UsageError) as flag:
        parse_run(["--lambda_A", typed], Settings(), prog="cyclegan train", about="")
    with pytest.raises(UsageError) as preset:
        from_table({"losses": {"lambda_A": typed}}, "mine.toml")
    assert str(flag.value).startswith(f"--lambda_A '{typed}': ")
    assert str(preset.value).startswith(f"mine.toml: [losses] lambda_A = '{typed}': ")
    for error in (flag, preset):
        assert why in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [-1, [1.0], True])
def test_weights_are_not_negative_numbers(value: object) -> None:
    with pytest.raises(UsageError, match=r"^mine.toml: \[losses\] lambda_A = .*: input should be"):
        from_table({"losses": {"lambda_A": value}}, "mine.toml")


def test_a_contradiction_names_the_schedule(tiny_settings: Settings) -> None:
    settings = with_parts(tiny_settings, losses=LossSettings(lambda_identity="1 -> 0"))
    grey = replace(settings, networks=replace(settings.networks, input_nc=1))
    with pytest.raises(UsageError, match="--lambda_identity '1 -> 0': this loss is undefined"):
        grey.check()
