"""One painting, or several: what is learned, kept, converted with and refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import build_recipe, smooth_image
from PIL import Image
from torch import Tensor

from cyclegan import Translator, checkpoint, cli
from cyclegan.data.batch import Batch
from cyclegan.errors import UserError
from cyclegan.generators import ResnetSettings
from cyclegan.layers.normalization import Scale
from cyclegan.recipes.one_painting.recipe import Palette, mixed
from cyclegan.settings import from_table
from cyclegan.training.step import run_step

PRESET = str(Path(__file__).parents[2] / "options" / "one_painting.toml")
TINY = ["--ngf", "4", "--n_blocks", "1", "--load_size", "40", "--crop_size", "36"]
QUICK = ["--n_epochs", "2", "--n_epochs_decay", "0", "--num_threads", "0", "--no_visdom"]
SAME = ["--precision", "fp32", "--compile", "off", "--batching", "on", "--display_freq", "0"]
SEEN = ["--loss_features", "plain", "--content_layers", "conv2", "--style_layers", "conv1", "conv2"]


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    """Stripes of two colours."""
    stripes = np.zeros((60, 80, 3), np.uint8)
    stripes[:, ::6] = (250, 190, 20)
    stripes[:, 3::6] = (20, 60, 180)
    (tmp_path / "styles").mkdir()
    path = tmp_path / "styles" / "stripes.png"
    Image.fromarray(stripes).save(path)
    return path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(4):
        smooth_image(number, (48, 40)).save(folder / f"{number}.png")
    return folder


def train(tmp_path: Path, style: Path, photographs: Path, *flags: str, name: str = "run") -> Path:
    where = ["--checkpoints_dir", str(tmp_path / "runs"), "--name", name]
    pictures = ["--style", str(style), "--content", str(photographs)]
    args = [PRESET, *pictures, *where, *TINY, *QUICK, *SAME, *SEEN, *flags]
    assert cli.run(["train", *args]) == 0
    return tmp_path / "runs" / name


def settings_of(tmp_path: Path, **losses: float) -> dict:
    return {
        "run": {"model": "one_painting"},
        "data": {"load_size": 40, "crop_size": 36},
        "generator": {"ngf": 4, "n_blocks": 1, "residual": True},
        "losses": {"lambda_content": 1.0, "lambda_style": 10.0, "lambda_tv": 0.1} | losses,
        "perceptual": {
            "loss_features": "plain", "content_layers": ["conv2"],
            "style_layers": ["conv1", "conv2"],
        },
        "training": {"ema_decay": 0.5, "lr": 0.003},
    }  # fmt: skip


def pictures(count: int = 2) -> Tensor:
    made = [np.asarray(smooth_image(number, (36, 36))) for number in range(count)]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2) / 127.5 - 1


def test_the_style_loss_falls_and_every_loss_has_a_name(painting: Path, tmp_path: Path) -> None:
    recipe = build_recipe(from_table(settings_of(tmp_path), "test"), targets=[painting])
    assert set(recipe.state.networks) == {"generator_a_to_b"}
    batch = Batch(pictures(), pictures())
    losses = [
        run_step(recipe.phases, recipe.state, [batch], number=step).losses for step in range(25)
    ]
    assert set(losses[0]) == {"content_a_to_b", "style_a_to_b", "total_variation_a_to_b"}
    assert losses[-1]["style_a_to_b"] < 0.5 * losses[0]["style_a_to_b"]
    shown = recipe.preview(batch)["a_to_b"]
    assert torch.allclose(shown.fake, recipe.convert("a_to_b", batch.a), atol=1e-5)


def test_weights_are_those_of_the_settings(painting: Path, tmp_path: Path) -> None:
    def first(**losses: float) -> dict[str, Tensor]:
        settings = from_table(settings_of(tmp_path, **losses), "test")
        recipe = build_recipe(settings, targets=[painting])
        return run_step(recipe.phases, recipe.state, [Batch(pictures(), pictures())]).losses

    one, twice = first(), first(lambda_style=20.0)
    assert torch.isclose(twice["style_a_to_b"], 2 * one["style_a_to_b"])
    assert torch.equal(twice["content_a_to_b"], one["content_a_to_b"])
    assert "content_a_to_b" not in first(lambda_content=0.0)


def test_from_the_command_line_to_pictures(
    painting: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(tmp_path, painting, photographs)
    assert (run / "report.html").exists()
    out = tmp_path / "out"
    flags = ["--name", "run", "--checkpoints_dir", str(run.parent)]
    into = ["--input", str(photographs), "--output", str(out)]
    assert cli.run(["convert", *flags, *into, "--tile", "exact"]) == 0
    assert len([*out.glob("*.png")]) == 4
    with pytest.raises(UserError, match="converts one way only, AtoB"):
        cli.run(["convert", *flags, "--direction", "BtoA", *into, "--overwrite"])
    assert cli.run(["export", *flags, "--format", "torchscript"]) == 0
    with pytest.raises(UserError, match="knows one style"):
        cli.run(["convert", *flags, "--style_mix", "stripes", *into, "--overwrite"])


def test_going_on_gives_the_same_as_never_stopping(
    painting: Path, photographs: Path, tmp_path: Path
) -> None:
    whole = train(tmp_path, painting, photographs, name="whole")
    half = train(tmp_path, painting, photographs, "--n_epochs", "1", name="half")
    where = ["--checkpoints_dir", str(half.parent), "--name", "half"]
    assert cli.run(["train", "--continue_train", *where, "--n_epochs", "2"]) == 0
    one, other = (
        checkpoint.load(run / "latest.pt").state["networks"]["generator_a_to_b"]
        for run in (whole, half)
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def paintings(painting: Path) -> Path:
    """Stripes, and checks in other colours."""
    checks = np.zeros((64, 64, 3), np.uint8)
    checks[::8] = (200, 30, 40)
    checks[:, ::8] = (40, 160, 60)
    Image.fromarray(checks).save(painting.with_name("checks.png"))
    return painting.parent


def test_several_paintings_share_a_generator_and_mix(
    paintings: Path, photographs: Path, tmp_path: Path
) -> None:
    run = train(tmp_path, paintings, photographs, "--n_epochs", "6", "--lr", "0.01")
    picture = np.asarray(smooth_image(9, (40, 36)))

    def made(mix: str) -> np.ndarray:
        return Translator.load(run, style_mix=mix)(picture).astype(int)

    checks, stripes, both = (made(mix) for mix in ("checks", "stripes=2", "checks=0.5,stripes=0.5"))
    apart = np.abs(checks - stripes).mean()
    assert apart > 1
    assert 0 < np.abs(both - checks).mean() < apart
    assert 0 < np.abs(both - stripes).mean() < apart
    assert np.array_equal(made("checks=1,stripes=0"), checks)


def test_rows_are_mixed_by_their_shares() -> None:
    network = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "instance_affine")
    palette = Palette(network, ["a", "b.c"])
    for rows in palette.parameters():
        rows.data = torch.tensor([[1.0], [5.0]]).expand_as(rows).clone()
    weights = mixed(network.state_dict(), palette.state_dict(), "a=3,b.c=1")
    own = {name for name in weights if not torch.equal(weights[name], network.state_dict()[name])}
    scales = {name for name, module in network.named_modules() if isinstance(module, Scale)}
    assert own == {f"{name}.{part}" for name in scales for part in ("weight", "bias")}
    assert all(torch.equal(weights[name], torch.full((len(weights[name]),), 2.0)) for name in own)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        (None, "paints like checks, stripes: say which with --style_mix checks"),
        ("chekcs", "no such painting, perhaps you meant checks"),
        ("checks=much", "much is not a number"),
        ("checks=0", "shares must be 0 or more, and not all 0"),
        ("checks=2,stripes=-1", "shares must be 0 or more"),
    ],
)
def test_a_mix_that_says_nothing(
    mix: str | None, message: str, paintings: Path, tmp_path: Path
) -> None:
    network = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "instance_affine")
    palette = Palette(network, ["checks", "stripes"])
    with pytest.raises(UserError, match=message):
        mixed(network.state_dict(), palette.state_dict(), mix)


def test_what_cannot_be_trained_is_one_line(
    painting: Path, photographs: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    deep = ["--content_layers", "conv5", "--style_layers", "conv5"]
    with pytest.raises(UserError, match=r"small\.png: 8x8 pixels are too few"):
        train(tmp_path, tmp_path / "small.png", photographs, *deep)
    with pytest.raises(UserError, match="no such layer, perhaps you meant conv2"):
        train(tmp_path, painting, photographs, "--style_layers", "conv22")
    with pytest.raises(UserError, match="no style would be learned"):
        train(tmp_path, painting, photographs, "--lambda_style", "0")
    with pytest.raises(UserError, match="one_painting converts one way only"):
        train(tmp_path, painting, photographs, "--direction", "BtoA")
    with pytest.raises(UserError, match=r"none\.png: no such folder"):
        train(tmp_path, tmp_path / "none.png", photographs)
