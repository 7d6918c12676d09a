"""Held-out images: the same ones every time, whatever the folder holds."""

from pathlib import Path

import pytest
import torch
from conftest import build_recipe, smooth_image

from cyclegan.data import DataSettings
from cyclegan.data.folders import folder_of_test_images
from cyclegan.data.loader import held_out
from cyclegan.errors import UserError
from cyclegan.metrics.collapse import diversity, light_agreement
from cyclegan.settings import Settings

SETTINGS = DataSettings(load_size=28, crop_size=24)


def test_they_are_squares_from_all_over_the_folder(dataroot: Path) -> None:
    folders = (dataroot / "trainA", dataroot / "trainB")
    batch = held_out(SETTINGS, folders, (3, 1), count=2)
    assert batch.a.shape == (2, 3, 24, 24)
    assert batch.b.shape == (2, 1, 24, 24)
    assert torch.equal(batch.a, held_out(SETTINGS, folders, (3, 1), count=2).a)
    third = held_out(SETTINGS, (dataroot / "trainA",) * 2, (3, 3), count=6).a[3]
    assert torch.equal(batch.a[1], third), "the first and the fourth of six"


def test_test_images_are_taken_where_there_are_some(dataroot: Path) -> None:
    assert folder_of_test_images(dataroot / "trainA") == dataroot / "testA"
    assert folder_of_test_images(dataroot / "trainB") == dataroot / "trainB", "no testB"
    (dataroot / "testB").mkdir()
    assert folder_of_test_images(dataroot / "trainB") == dataroot / "trainB", "an empty testB"


def test_fewer_images_than_asked_for_and_unreadable_ones(dataroot: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="none of its 1 images"):
        held_out(SETTINGS, (damaged, damaged), (3, 3), count=2)
    smooth_image(1, (200, 30)).save(damaged / "1.png")
    batch = held_out(SETTINGS, (damaged, dataroot / "trainB"), (3, 3), count=9)
    assert len(batch) == 1


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_preview_leaves_everything_as_it_was(tiny: dict, norm: str, dataroot: Path) -> None:
    from cyclegan.settings import from_table

    tiny |= {"networks": {"norm": norm}}
    tiny["generator"] |= {"dropout": True}
    recipe = build_recipe(from_table(tiny, "x"))
    folders = (dataroot / "trainA", dataroot / "trainB")
    batch = held_out(SETTINGS, folders, (3, 3), count=2)
    before = {
        name: {key: value.clone() for key, value in network.state_dict().items()}
        for name, network in recipe.state.networks.items()
    }
    random = torch.get_rng_state()
    first, second = recipe.preview(batch), recipe.preview(batch)
    assert torch.equal(first["a_to_b"].fake, second["a_to_b"].fake), "no dropout"
    assert torch.equal(random, torch.get_rng_state())
    for name, network in recipe.state.networks.items():
        assert network.training
        for key, value in network.state_dict().items():
            assert torch.equal(value, before[name][key])
    assert set(first["b_to_a"].pictures()) == {"real", "fake", "cycled", "identity"}


def test_without_pictures_nothing_is_held_out(tiny: dict) -> None:
    from cyclegan import assemble
    from cyclegan.settings import from_table

    tiny["loggers"] |= {"display_freq": 0}
    settings: Settings = from_table(tiny, "x")
    assemble.train(settings)
    assert not (settings.run.folder / "pictures").exists()


def test_without_a_readable_test_image_training_goes_on(
    tiny_settings: Settings, dataroot: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from cyclegan import assemble

    for path in (dataroot / "testA").iterdir():
        path.write_bytes(b"")
    assemble.train(tiny_settings)
    assert "testA: none of its 3 images can be read: no held-out pictures" in caplog.text
    assert (tiny_settings.run.folder / "pictures" / "batch").is_dir()


def test_diversity() -> None:
    sources = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)
    assert diversity(sources, sources) == pytest.approx(1.0)
    assert diversity(sources, sources / 2) == pytest.approx(0.5)
    assert diversity(sources, sources[:1].expand(2, 3, 8, 8)) == 0.0


def test_light_agreement() -> None:
    sources = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)
    assert light_agreement(sources, 0.3 * sources + 0.1) == pytest.approx(1.0, abs=1e-5)
    assert light_agreement(sources, -sources) == pytest.approx(-1.0, abs=1e-5)
    assert light_agreement(sources, torch.zeros(2, 1, 8, 8)) == 0.0


def test_training_images_are_not_shown_unsaid(
    tiny_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    from cyclegan import assemble

    assemble.train(tiny_settings)
    assert "trainB: no test images next to it, showing training images" in caplog.text
    assert "trainA" not in caplog.text
