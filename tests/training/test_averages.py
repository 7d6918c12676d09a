"""Averaged weights: followed, kept in checkpoints, and what conversion uses."""

from pathlib import Path

import pytest
import torch
from conftest import build_recipe, smooth_image
from torch import nn

from cyclegan import Translator, assemble, checkpoint
from cyclegan.data.batch import Batch
from cyclegan.errors import UserError
from cyclegan.settings import Settings, from_table
from cyclegan.training.state import Averages


@pytest.fixture
def averaged(tiny: dict) -> Settings:
    tiny["training"] |= {"ema_decay": 0.9}
    return from_table(tiny, "test")


def test_it_follows_by_hand() -> None:
    trained, average = nn.Linear(1, 1), nn.Linear(1, 1)
    averages = Averages({"x": average}, decay=0.5)
    for parameter in average.parameters():
        parameter.data.fill_(0.0)
    expected = 0.0
    for step, value in enumerate([3.0, 5.0, -1.0] + [2.0] * 9):
        trained.weight.data.fill_(value)
        averages.follow({"x": trained}, step)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
        assert average.weight.item() == pytest.approx(expected)


def test_statistics_are_copied() -> None:
    trained, average = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    trained(torch.randn(2, 2, 3, 3))
    Averages({"x": average}, decay=0.5).follow({"x": trained}, 100)
    assert torch.equal(average.running_mean, trained.running_mean)
    assert average.num_batches_tracked == 1


def test_without_a_decay_nothing_is_kept(tiny_settings: Settings) -> None:
    assert build_recipe(tiny_settings).state.state_dict()["averages"] == {}


def test_conversion_takes_the_average(averaged: Settings) -> None:
    assemble.train(averaged)
    folder = averaged.run.folder
    state = checkpoint.load(folder / "latest.pt").state
    name = "generator_a_to_b"
    first = "model.1.weight"
    assert not torch.equal(state["averages"][name][first], state["networks"][name][first])
    translator = Translator.load(folder)
    assert torch.equal(
        translator.generator.network.state_dict()[first], state["averages"][name][first]
    )
    plain = Translator.load(folder, average=False)
    assert torch.equal(plain.generator.network.state_dict()[first], state["networks"][name][first])
    image = smooth_image(1)
    assert translator(image).tobytes() != plain(image).tobytes()


def test_damage_to_the_average_is_named(averaged: Settings) -> None:
    assemble.train(averaged)
    path: Path = averaged.run.folder / "latest.pt"
    content = torch.load(path)
    content["state"]["averages"]["generator_a_to_b"]["model.1.weight"] += 1
    torch.save(content, path)
    with pytest.raises(UserError, match="damaged"):
        Translator.load(path)
    Translator.load(path, average=False)


def test_a_run_that_had_none_starts_with_its_weights(tiny: dict, averaged: Settings) -> None:
    tiny["training"].pop("ema_decay")
    before = build_recipe(from_table(tiny, "test")).state
    after = build_recipe(averaged).state
    for weights in before.networks["generator_a_to_b"].parameters():
        weights.data.fill_(0.25)
    after.load_state_dict(before.state_dict(), torch.device("cpu"))
    average = after.averages.networks["generator_a_to_b"]
    assert all((weights == 0.25).all() for weights in average.parameters())


def test_the_preview_shows_the_average(averaged: Settings) -> None:
    recipe = build_recipe(averaged)
    images = torch.rand(1, 3, 24, 24) * 2 - 1
    average = recipe.state.averages.networks["generator_a_to_b"]
    for weights in average.parameters():
        weights.data.mul_(2.0)
    shown = recipe.preview(Batch(images, images))["a_to_b"].fake
    assert torch.equal(shown, average(images))
    assert not torch.equal(shown, recipe.state.networks["generator_a_to_b"](images))
