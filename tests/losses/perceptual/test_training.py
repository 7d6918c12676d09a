"""Content and style as terms of a training: what they cost, and what they leave alone."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from conftest import build_recipe, with_parts
from feature_weights import save_vgg
from torch import Tensor

from cyclegan import assemble, checkpoint
from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError
from cyclegan.execution.execution import Execution
from cyclegan.flags import parse_run
from cyclegan.losses import LossSettings
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import make_objective
from cyclegan.losses.perceptual import STYLES, Perceptual
from cyclegan.settings import Settings, from_table
from cyclegan.training.step import StepResult, run_step
from cyclegan.translation import Translation

WEIGHTS = {
    "lambda_content": 1.0,
    "lambda_style": 2.0,
    "lambda_perceptual_cycle": 3.0,
    "lambda_tv": 4.0,
}
NAMES = ("content", "style", "perceptual_cycle", "total_variation")


@pytest.fixture
def seeing(tiny: dict[str, dict[str, object]]) -> Settings:
    """All terms, through the five random convolutions."""
    return from_table(tiny | {"losses": WEIGHTS, "perceptual": {"loss_features": "plain"}}, "x")


def one_step(settings: Settings, execution: Execution | None = None) -> StepResult:
    recipe = build_recipe(settings, execution)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(2, 3, 24, 24, generator=generator) * 2 - 1 for _ in "ab")
    return run_step(recipe.phases, recipe.state, [Batch(a, b)])


def test_off_by_default_nothing_is_loaded(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*unused: object) -> None:
        raise AssertionError

    monkeypatch.setattr("cyclegan.features.table.layered_network", never)
    assert not any(name.startswith(NAMES) for name in one_step(tiny_settings).losses)
    with pytest.raises(AssertionError):
        one_step(with_parts(tiny_settings, losses=LossSettings(lambda_style=1.0)))


def test_the_other_terms_are_the_same_with_and_without(
    tiny_settings: Settings, seeing: Settings
) -> None:
    without, seen = one_step(tiny_settings).losses, one_step(seeing).losses
    assert {f"{name}_{way}" for name in NAMES for way in ("a_to_b", "b_to_a")} <= seen.keys()
    for name in without:
        assert torch.equal(without[name], seen[name]), name


@pytest.mark.parametrize("how", [Execution(), Execution(precision="bf16", batch_generator=True)])
def test_they_are_float32_and_finite_in_every_execution(seeing: Settings, how: Execution) -> None:
    losses = one_step(seeing, how).losses
    for name in NAMES:
        loss = losses[f"{name}_a_to_b"]
        assert loss.dtype == torch.float32
        assert 0 < loss.item() < 1e4, name


def test_each_trains_the_generator_that_it_is_about(tiny: dict[str, dict[str, object]]) -> None:
    for weight in WEIGHTS:
        losses = {weight: 1.0, "lambda_A": 0.0, "lambda_B": 0.0, "lambda_identity": 0.0}
        tables = {"losses": losses, "perceptual": {"loss_features": "plain"}}
        recipe = build_recipe(from_table(tiny | tables, "x"))
        batch = Batch(torch.rand(1, 3, 24, 24) * 2 - 1, torch.rand(1, 3, 24, 24) * 2 - 1)
        part = next(recipe.phases[0].parts(batch, {}, 0))
        (loss,) = [loss for name, loss in part.losses.items() if "adversarial" not in name]
        loss.backward()
        weights = next(recipe.state.networks["generator_a_to_b"].parameters())
        assert weights.grad is not None, weight
        assert weights.grad.abs().sum() > 0, weight


def test_the_frozen_network_is_nobody_s(seeing: Settings, tiny_settings: Settings) -> None:
    recipe, plain = build_recipe(seeing), build_recipe(tiny_settings)
    assert recipe.state.networks.keys() == plain.state.networks.keys()
    counts = [
        [sum(p.numel() for group in optimizer.param_groups for p in group["params"])]
        for made in (recipe, plain)
        for optimizer in made.state.optimizers.values()
    ]
    assert counts[:2] == counts[2:]


def test_it_trains_is_logged_and_goes_on(seeing: Settings) -> None:
    torch.manual_seed(0)
    assert assemble.train(seeing) is None
    folder = seeing.run.folder
    lines = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    logged = next(line for line in lines if "style_a_to_b" in str(line))
    assert all(f"{name}_b_to_a" in str(logged) for name in NAMES)
    saved = checkpoint.load(folder / "latest.pt")
    assert set(saved.state["networks"]) == {
        "generator_a_to_b", "generator_b_to_a", "discriminator_a", "discriminator_b"
    }  # fmt: skip
    assert saved.settings["perceptual"]["loss_features"] == "plain"
    assert (folder / "latest.pt").stat().st_size < 1_000_000, "no convolutions in it"


def test_what_a_person_gives_reaches_the_network(
    tiny: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    path = save_vgg(tmp_path / "vgg.pth")
    given = {"feature_weights": str(path), "style_layers": ["relu1_1"], "style_kind": "statistics"}
    losses = {"lambda_style": 1.0}
    result = one_step(from_table(tiny | {"losses": losses, "perceptual": given}, "x"))
    assert result.losses["style_a_to_b"].item() > 0
    given["style_layers"] = ["relu1_9"]
    with pytest.raises(UsageError, match=r"--style_layers relu1_9: .* perhaps you meant relu1_"):
        one_step(from_table(tiny | {"losses": losses, "perceptual": given}, "x"))


def test_as_flags() -> None:
    flags = "--lambda_style 2 --style_layers conv1 conv3 --loss_features plain --lambda_tv=0.5"
    settings = parse_run(flags.split(), Settings(), prog="cyclegan train", about="").settings
    assert settings.recipe.perceptual.style_layers == ("conv1", "conv3")
    assert settings.recipe.losses.term_weights("a_to_b")["style"] == 2
    assert settings.recipe.losses.term_weights("b_to_a")["total_variation"] == 0.5


def test_a_translation_s_pictures_are_looked_at_once_each() -> None:
    looked: list[Tensor] = []

    def look(images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        looked.append(images)
        return dict.fromkeys(layers, images)

    made = Translation(*(torch.full((1, 3, 4, 4), 0.1 * number) for number in range(4)), None)
    seeing = Perceptual(look, ("one",), ("one",), STYLES["gram"])
    weights = {"content": 1.0, "style": 2.0, "perceptual_cycle": 3.0}
    objective = make_objective(weights, LossContext(make_perceptual=lambda: seeing))
    losses = objective(made)
    assert len(looked) == 4, "source, target, fake and cycled"
    objective(made)
    assert len(looked) == 8, "nothing is kept for another step: a graph writes to the same place"
    assert losses["content"].item() == pytest.approx(0.2**2)
    assert losses["perceptual_cycle"].item() == pytest.approx(3 * 0.3**2)
    # Gram matrices of constant maps: value squared over the root of 3 features.
    expected = 2 * 9 * ((0.04 - 0.01) / 3**0.5) ** 2 / 3
    assert losses["style"].item() == pytest.approx(expected, rel=1e-4)
