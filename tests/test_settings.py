"""Settings: defaults, presets, errors that name the key."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from cyclegan.errors import UsageError
from cyclegan.flags import parse_run
from cyclegan.recipes import RECIPES
from cyclegan.settings import (
    Settings,
    changes,
    flags_of,
    from_record,
    from_table,
    is_fixed,
    load_preset,
    load_record,
    of_kind,
    presets,
)

PRESETS = sorted((Path(__file__).parents[1] / "options").glob("*.toml"))


def test_defaults_are_the_classics() -> None:
    settings = Settings()
    settings.check()
    assert (settings.data.load_size, settings.data.crop_size) == (286, 256)
    assert (settings.recipe.generator.ngf, settings.recipe.generator.n_blocks) == (64, 9)
    assert settings.training.lr == 0.0002
    assert settings.recipe.losses.lambda_identity == 0.5
    assert settings.recipe.networks.norm == "instance"
    assert not settings.recipe.generator.dropout


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
    assert by_name["photo2vangogh"].recipe.losses.lambda_identity == 0.5
    assert by_name["horse2zebra"].recipe.losses.lambda_identity == 0


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
    assert settings.recipe.generator.netG == "resnet"
    assert (settings.recipe.generator.n_blocks, settings.recipe.generator.ngf) == (6, 8)


def test_another_kind_keeps_what_both_know() -> None:
    small = load_preset(PRESETS[0].parent / "small.toml")
    deeper = of_kind("generator", "resnet_9blocks", small.recipe.generator, "x")
    assert (deeper.n_blocks, deeper.ngf) == (9, small.recipe.generator.ngf)
    pixel = of_kind("discriminator", "pixel", small.recipe.discriminator, "x")
    assert (pixel.netD, pixel.ndf) == ("pixel", small.recipe.discriminator.ndf)


def test_changes_name_keys() -> None:
    new = from_table({"generator": {"ngf": 32}, "training": {"lr": 0.1}}, "x")
    assert list(changes(Settings(), new)) == [
        ("generator.ngf", 64, 32),
        ("training.lr", 0.0002, 0.1),
    ]
    recipe = Settings().recipe
    for key in ("generator.ngf", "networks.norm", "training.pool_size", "run.seed", "run.model"):
        assert is_fixed(key, recipe)
    for key in ("training.lr", "data.dataroot", "run.device"):
        assert not is_fixed(key, recipe)
    assert not is_fixed("perceptual.loss_features", of_model("one_painting").recipe)
    assert is_fixed("perceptual.loss_features", of_model("fusion").recipe)


def of_model(model: str, **parts: dict) -> Settings:
    return from_table({"run": {"model": model}, **parts}, "my.toml")


@pytest.mark.parametrize("model", RECIPES)
def test_a_recipe_names_itself_and_says_what_it_is(model: str) -> None:
    kind = RECIPES[model].settings
    assert kind().model == model
    assert kind.__doc__
    assert of_model(model).table()["run"]["model"] == model
    assert isinstance(of_model(model).recipe, kind)


@pytest.mark.parametrize("model", RECIPES)
def test_each_key_stands_once(model: str) -> None:
    """A preset's table may hold keys of the recipe beside those of all models, never twice."""
    settings = of_model(model)
    for name, key in flags_of(settings.recipe):
        shared = getattr(settings, name) if name in ("run", "networks", "training") else None
        assert not hasattr(shared, key), (name, key)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            {"run": {"model": "one_painting"}, "losses": {"lambda_nce": 3.0}},
            "my.toml: [losses] lambda_nce goes with --model cycle_gan, not one_painting",
        ),
        (
            {"run": {"model": "fusion"}, "networks": {"norm": "batch"}},
            "my.toml: [networks] norm goes with --model cycle_gan or one_painting or student, not "
            "fusion",
        ),
        (
            {"fusion": {"match_colors": True}},
            "my.toml: [fusion] match_colors goes with --model fusion, not cycle_gan",
        ),
        (
            {"run": {"model": "fusion"}, "discriminator": {"netD": "multiscale"}},
            "my.toml: [discriminator] netD goes with --model cycle_gan, not fusion",
        ),
        (
            {"run": {"model": "fussion"}},
            "my.toml: model 'fussion': unknown, perhaps you meant fusion; choose from cycle_gan, "
            "one_painting, fusion, student",
        ),
    ],
)
def test_a_preset_that_names_another_models_key_says_whose_it_is(table: dict, words: str) -> None:
    with pytest.raises(UsageError) as error:
        from_table(table, "my.toml")
    assert str(error.value) == words


def earlier(model: str, **changed: Any) -> dict[str, Any]:
    """The tables that versions before wrote for a run: those of all models, with all keys."""
    table: dict[str, Any] = {}
    for other in [*RECIPES, model]:
        for name, values in of_model(other).table().items():
            table[name] = table.get(name, {}) | values
    return table | {name: table[name] | values for name, values in changed.items()}


@pytest.mark.parametrize("model", RECIPES)
def test_what_earlier_versions_wrote_is_read(model: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(tomli_w.dumps(earlier(model)))
    assert load_preset(path) == load_record(path) == of_model(model)


def test_what_a_run_recorded_of_other_models_is_passed_over() -> None:
    """Whatever it says: they were taken without a word, and did nothing."""
    table = earlier("one_painting", losses={"lambda_nce": 3.0}, discriminator={"netD": "pixel"})
    assert from_record(table, "latest.pt") == of_model("one_painting")
    with pytest.raises(UsageError, match="goes with --model cycle_gan, not one_painting"):
        from_table(table, "settings.toml")


def test_another_model_keeps_what_both_know() -> None:
    parts = {"losses": {"lambda_style": 3.0, "lambda_A": 2.0}, "training": {"lr": 0.1}}
    painting = from_table(parts, "x").of_model("one_painting", "--model")
    assert painting == of_model("one_painting", losses={"lambda_style": 3.0}, training={"lr": 0.1})


def test_only_discriminators_have_a_level_of_guessing() -> None:
    levels = {model: of_model(model).recipe.guessing for model in RECIPES}
    assert levels == {"cycle_gan": 0.25, "one_painting": None, "fusion": None, "student": None}


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
    with pytest.raises(UsageError, match=r"x\.toml: (not|invalid)") as raised:
        load_preset(tmp_path / "x.toml")
    assert "\n" not in str(raised.value)


def test_missing_preset_names_the_ones_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"quick\.toml"):
        load_preset(PRESETS[0].parent / "none.toml")
    with pytest.raises(UsageError, match=r"perhaps you meant .*options/quick\.toml; choose from"):
        load_preset(PRESETS[0].parent / "quik.toml")
    with pytest.raises(UsageError, match="no such preset, perhaps you meant quick; choose from cl"):
        load_preset(tmp_path / "quik.toml")


def test_presets_by_name_are_those_of_the_checkout() -> None:
    assert [path.resolve() for path in presets().values()] == PRESETS
    assert load_preset("small") == load_preset(PRESETS[0].parent / "small.toml")


def test_broken_toml(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[data\n")
    with pytest.raises(UsageError, match="invalid TOML"):
        load_preset(tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--lambda_nce 3", "--lambda_nce goes with --model cycle_gan, not one_painting"),
        ("--gan_mode=wgangp", "--gan_mode goes with --model cycle_gan, not one_painting"),
        ("--netD multiscale", "--netD goes with --model cycle_gan, not one_painting"),
        ("--n-layers-D 2", "--n_layers_D goes with --model cycle_gan, not one_painting"),
        ("--no_match_colors", "--match_colors goes with --model fusion, not one_painting"),
    ],
)
def test_another_models_flag_says_whose_it_is(flags: str, words: str) -> None:
    args = ["--model", "one_painting", *flags.split()]
    with pytest.raises(UsageError) as error:
        parse_run(args, Settings(), prog="cyclegan train", about="")
    assert str(error.value) == words
