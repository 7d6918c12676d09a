"""Settings: defaults, presets, errors that name the key."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest
import tomli_w

from cyclegan.errors import UsageError
from cyclegan.recipes import RECIPES
from cyclegan.run import MODELS, Model
from cyclegan.settings import Settings, changes, from_table, is_fixed, load_preset, of_kind, presets

PRESETS = sorted((Path(__file__).parents[1] / "options").glob("*.toml"))


def test_defaults_are_the_classics() -> None:
    settings = Settings()
    settings.check()
    assert (settings.data.load_size, settings.data.crop_size) == (286, 256)
    assert (settings.generator.ngf, settings.generator.n_blocks) == (64, 9)
    assert settings.training.lr == 0.0002
    assert settings.losses.lambda_identity == 0.5
    assert settings.networks.norm == "instance"
    assert not settings.generator.dropout


def test_there_are_presets() -> None:
    names = {path.name for path in PRESETS}
    assert {"quick.toml", "small.toml", "photo2vangogh.toml", "horse2zebra.toml"} <= names


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid_short_and_say_how_to_use_them(path: Path) -> None:
    load_preset(path).check()
    lines = path.read_text().splitlines()
    assert len(lines) <= 25
    header = [line for line in lines[:4] if line.startswith("#")]
    assert any(f"cyclegan train {path.stem} " in line for line in header)
    assert any("Expect" in line for line in header)


def test_the_authors_identity_weights() -> None:
    by_name = {path.stem: load_preset(path) for path in PRESETS}
    assert by_name["photo2vangogh"].losses.lambda_identity == 0.5
    assert by_name["horse2zebra"].losses.lambda_identity == 0


def test_a_table_comes_back_the_same(tiny: dict) -> None:
    tiny["data"]["augment"] = [{"name": "ColorJitter", "p": 0.5}]
    settings = from_table(tiny, "tiny")
    written = tomllib.loads(tomli_w.dumps(settings.table()))
    assert from_table(written, "written") == settings


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"generater": {}}, ["[generater]", "generator"]),
        ({"generator": {"ngff": 3}}, ["ngff", "perhaps you meant ngf", "n_blocks"]),
        ({"generator": {"ngf": "64"}}, ["ngf", "'64'", "integer"]),
        ({"generator": {"ngf": True}}, ["ngf", "integer"]),
        ({"generator": {"netG": "resnet_8blocks"}}, ["resnet_8blocks", "resnet_9blocks"]),
        ({"training": {"lr": -1.0}}, ["lr", "-1.0", "greater than 0"]),
        ({"losses": {"gan_mode": "lsgam"}}, ["gan_mode", "lsgam", "lsgan", "wgangp"]),
        ({"data": 3}, ["[data]", "table"]),
    ],
)
def test_wrong_keys_and_values_are_named(table: dict, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        from_table(table, "my.toml")
    for word in ["my.toml", *words]:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_keys_of_earlier_versions_are_read_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text("[loggers]\ncsv = true\nprint_freq = 7\n")
    read = load_preset(tmp_path / "old.toml")
    assert read == from_table({"loggers": {"print_freq": 7}}, "x")
    assert "csv" not in read.table()["loggers"]


@pytest.mark.parametrize(
    ("part", "values", "words"),
    [
        ("data", {"crop_size": 300}, "--load_size"),
        ("data", {"crop_size": 254}, "multiple of 4"),
        ("data", {"crop_size": 20, "load_size": 30}, "--netD"),
        ("networks", {"input_nc": 1}, "--lambda_identity 0"),
        ("networks", {"input_nc": 4, "output_nc": 4}, "1 or 3"),
        ("run", {"name": "a/b"}, "--name"),
        ("run", {"name": ".."}, "--name"),
    ],
)
def test_contradictions_are_told(part: str, values: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        from_table({part: values}, "x").check()


def test_only_an_image_with_as_many_channels_can_be_added_to() -> None:
    table = {"generator": {"residual": True}, "networks": {"input_nc": 1}}
    with pytest.raises(UsageError, match="--residual adds to the image"):
        from_table(table, "x").check()


def test_names_of_the_classic_stand_for_sizes() -> None:
    settings = from_table({"generator": {"netG": "resnet_6blocks", "ngf": 8}}, "x")
    assert settings.generator.netG == "resnet"
    assert (settings.generator.n_blocks, settings.generator.ngf) == (6, 8)


def test_another_kind_keeps_what_both_know() -> None:
    small = load_preset(PRESETS[0].parent / "small.toml")
    deeper = of_kind("generator", "resnet_9blocks", small.generator, "x")
    assert (deeper.n_blocks, deeper.ngf) == (9, small.generator.ngf)
    pixel = of_kind("discriminator", "pixel", small.discriminator, "x")
    assert (pixel.netD, pixel.ndf) == ("pixel", small.discriminator.ndf)


def test_changes_name_keys() -> None:
    new = from_table({"generator": {"ngf": 32}, "training": {"lr": 0.1}}, "x")
    assert list(changes(Settings(), new)) == [
        ("generator.ngf", 64, 32),
        ("training.lr", 0.0002, 0.1),
    ]
    assert is_fixed("generator.ngf", "cycle_gan")
    assert is_fixed("run.seed", "cycle_gan")
    assert not is_fixed("training.lr", "cycle_gan")
    assert not is_fixed("data.dataroot", "cycle_gan")
    assert not is_fixed("run.device", "cycle_gan")
    assert not is_fixed("perceptual.loss_features", "one_painting")
    assert is_fixed("perceptual.loss_features", "fusion")


def test_every_model_has_its_recipe_and_its_traits() -> None:
    assert set(MODELS) == set(RECIPES) == set(get_args(Model))


def test_only_discriminators_have_a_level_of_guessing() -> None:
    levels = {model: from_table({"run": {"model": model}}, "test").guessing for model in MODELS}
    assert levels == {"cycle_gan": 0.25, "one_painting": None, "fusion": None}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_presets_may_be_saved_by_any_editor(tmp_path: Path, encoding: str) -> None:
    text = '# für Ölgemälde\r\n[run]\r\nname = "gemälde"\r\n'
    (tmp_path / "x.toml").write_bytes(text.encode(encoding))
    assert load_preset(tmp_path / "x.toml").run.name == "gemälde"


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\0\0", b"a = " + b"[" * 5000, b"[run]\nseed = " + b"9" * 5000],
    ids=["binary", "deep", "long"],
)
def test_what_is_no_preset_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.toml: not") as raised:
        load_preset(tmp_path / "x.toml")
    assert "\n" not in str(raised.value)


def test_missing_preset_names_the_ones_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"quick\.toml"):
        load_preset(PRESETS[0].parent / "none.toml")
    with pytest.raises(UsageError, match=r"perhaps you meant .*options/quick\.toml; there are"):
        load_preset(PRESETS[0].parent / "quik.toml")
    with pytest.raises(UsageError, match="no such preset, perhaps you meant quick; there are cl"):
        load_preset(tmp_path / "quik.toml")


def test_presets_by_name_are_those_of_the_checkout() -> None:
    assert [path.resolve() for path in presets().values()] == PRESETS
    assert load_preset("small") == load_preset(PRESETS[0].parent / "small.toml")


def test_broken_toml(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[data\n")
    with pytest.raises(UsageError, match="not TOML"):
        load_preset(tmp_path / "x.toml")
