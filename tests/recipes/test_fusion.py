"""Fusion: trained on pairs of photograph and painting, converted with paintings of any kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import build_recipe, smooth_image
from PIL import Image
from torch import Tensor

from cyclegan import checkpoint, cli
from cyclegan.assemble import work_of
from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError, UserError
from cyclegan.execution import ExecutionSettings
from cyclegan.execution.choice import choose
from cyclegan.execution.execution import Execution
from cyclegan.export import FormatName
from cyclegan.export.formats import FORMATS
from cyclegan.recipes.fusion import FusionName
from cyclegan.recipes.fusion.fusions import FUSIONS
from cyclegan.recipes.fusion.network import FusionNetwork
from cyclegan.settings import Settings, from_table
from cyclegan.training.step import run_step

PRESET = str(Path(__file__).parents[2] / "options" / "fusion.toml")
TINY = [
    "--load_size",
    "40",
    "--crop_size",
    "32",
    "--decoder_width",
    "8",
    "--fusion_layer",
    "conv1",
    "--batch_size",
    "2",
]
QUICK = ["--n_epochs", "30", "--n_epochs_decay", "0", "--lr", "0.01", "--num_threads", "0"]
TOLD = ["--print_freq", "4", "--no_visdom"]
SEEN = ["--loss_features", "plain", "--content_layers", "conv2", "--style_layers", "conv1", "conv2"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, paintings, two more that are never trained on, and a trained model."""
    root = tmp_path_factory.mktemp("fusion")
    for folder, first in {"photographs": 0, "paintings": 10}.items():
        (root / folder).mkdir()
        for number in range(first, first + 4):
            smooth_image(number, (48, 40)).save(root / folder / f"{number}.png")
    for name, colours in {
        "red": ((230, 30, 20), (90, 0, 0)),
        "blue": ((20, 40, 240), (0, 0, 80)),
    }.items():
        stripes = np.zeros((40, 40, 3), np.uint8)
        stripes[::4], stripes[2::4] = colours
        Image.fromarray(stripes).save(root / f"{name}.png")
    pictures = ["--content", str(root / "photographs"), "--style", str(root / "paintings")]
    where = ["--checkpoints_dir", str(root / "runs"), "--name", "fused"]
    assert cli.run(["train", PRESET, *pictures, *where, *TINY, *QUICK, *TOLD, *SEEN]) == 0
    return root


def settings_of(fusion: str = "adain", *, match: bool = False, **losses: float) -> Settings:
    return from_table(
        {
            "run": {"model": "fusion"},
            "data": {"load_size": 40, "crop_size": 36},
            "losses": {"lambda_content": 1.0, "lambda_style": 10.0, "lambda_tv": 0.1} | losses,
            "perceptual": {
                "loss_features": "plain",
                "content_layers": ["conv2"],
                "style_layers": ["conv1", "conv2"],
            },
            "fusion": {
                "fusion": fusion,
                "fusion_layer": "conv2",
                "decoder_width": 4,
                "match_colors": match,
            },
            "training": {"ema_decay": 0.5, "lr": 0.003},
        },
        "test",
    )


def pictures(first: int, count: int = 2) -> Tensor:
    made = [np.asarray(smooth_image(number, (36, 36))) for number in range(first, first + count)]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2) / 127.5 - 1


@pytest.mark.parametrize("fusion", FUSIONS)
def test_losses_fall_and_all_but_the_encoder_learns(fusion: FusionName) -> None:
    recipe = build_recipe(settings_of(fusion))
    network = recipe.state.networks["generator_a_to_b"]
    before = {name: values.clone() for name, values in network.state_dict().items()}
    batch = Batch(pictures(0), pictures(5))
    losses = [
        run_step(recipe.phases, recipe.state, [batch], number=step).losses for step in range(25)
    ]
    assert set(losses[0]) == {"content_a_to_b", "style_a_to_b", "total_variation_a_to_b"}
    assert losses[-1]["style_a_to_b"] < 0.7 * losses[0]["style_a_to_b"]
    learns = {
        name for name, now in network.state_dict().items() if not torch.equal(before[name], now)
    }
    still = {name for name in before if name.startswith("encoder.")}
    # A key's bias adds the same to all likenesses, which come out as they were.
    assert before.keys() - learns - {"fusion.key.bias"} == still


def test_with_matched_colours_shapes_and_strokes_are_learned() -> None:
    recipe = build_recipe(settings_of(match=True))
    batch = Batch(pictures(0), pictures(5))
    losses = [
        run_step(recipe.phases, recipe.state, [batch], number=step).losses for step in range(25)
    ]
    first, last = (sum(each.values()) for each in (losses[0], losses[-1]))
    assert last < 0.7 * first


def test_each_picture_is_shown_in_the_style_beside_it_and_each_style_in_its_own() -> None:
    recipe = build_recipe(settings_of())
    a, b = pictures(0), pictures(5)
    shown = recipe.preview(Batch(a, b))["a_to_b"]
    turned = recipe.preview(Batch(a, b.flip(0)))["a_to_b"]
    itself = recipe.preview(Batch(b, b))["a_to_b"]
    assert not torch.allclose(shown.fake, turned.fake, atol=1e-4)
    assert shown.identity is not None
    torch.testing.assert_close(shown.identity, itself.fake)


def test_content_and_style_both_need_a_weight() -> None:
    for name in ("lambda_content", "lambda_style"):
        with pytest.raises(UsageError, match="both must be above 0"):
            build_recipe(settings_of(**{name: 0.0}))


def test_its_execution_is_chosen_by_its_own_network() -> None:
    """Which is computed in float32 and eagerly: nothing else is chosen, foretold or promised."""
    work = work_of(settings_of(), 10**9)
    assert any(isinstance(module, FusionNetwork) for module in work.network.modules())
    assert work.shape == (1, 3, 36, 36)
    chosen = choose(ExecutionSettings(), work, torch.device("cpu"))
    way = chosen.execution
    assert way == Execution("cpu", way.threads, fused=True)
    assert chosen.seconds_per_step > 0
    with pytest.raises(UsageError, match="--precision bf16: this model only runs in float32"):
        choose(ExecutionSettings(precision="bf16"), work, torch.device("cpu"))


def convert(root: Path, out: Path, *flags: str) -> int:
    run = ["--name", "fused", "--checkpoints_dir", str(root / "runs")]
    into = ["--input", str(root / "photographs"), "--output", str(out)]
    # Not chosen by a measurement, which may come out otherwise for two pictures to compare.
    return cli.run(["convert", *run, *into, "--precision", "fp32", *flags])


def read(out: Path, name: str = "0.png") -> np.ndarray:
    return np.asarray(Image.open(out / name).convert("RGB")).astype(int)


def test_only_decoder_and_fusion_are_trained(root: Path) -> None:
    saved = checkpoint.load(root / "runs" / "fused" / "latest.pt")
    assert set(saved.state["networks"]) == {"generator_a_to_b"}
    names = {name.partition(".")[0] for name in saved.state["networks"]["generator_a_to_b"]}
    assert {"encoder", "decoder"} <= names
    lines = (root / "runs" / "fused" / "losses.jsonl").read_text()
    assert all(f"{name}_a_to_b" in lines for name in ("content", "style", "total_variation"))


def test_any_painting_gives_its_colours(root: Path, tmp_path: Path) -> None:
    assert convert(root, tmp_path / "r", "--style", str(root / "red.png")) == 0
    assert convert(root, tmp_path / "b", "--style", str(root / "blue.png")) == 0
    red, blue = read(tmp_path / "r"), read(tmp_path / "b")
    assert red.shape == (40, 48, 3)
    for made, name in ((red, "red"), (blue, "blue")):  # seen by no training, and met by its colours
        wanted = np.asarray(Image.open(root / f"{name}.png")).reshape(-1, 3) / 255
        flat = made.reshape(-1, 3) / 255
        spread, its = np.cov(wanted.T), np.cov(flat.T)
        assert np.abs(flat.mean(0) - wanted.mean(0)).max() < 0.05
        assert np.linalg.norm(its - spread) < 0.15 * np.linalg.norm(spread)
    with pytest.raises(UserError, match="with other options"):  # nothing is kept by mistake
        convert(root, tmp_path / "r", "--style", str(root / "blue.png"))


def test_several_styles_count_by_their_weights(root: Path, tmp_path: Path) -> None:
    both = ["--style", str(root / "red.png"), str(root / "blue.png"), "--style_weights"]
    assert convert(root, tmp_path / "r", "--style", str(root / "red.png")) == 0
    assert convert(root, tmp_path / "one", *both, "1", "0") == 0
    assert convert(root, tmp_path / "mixed", *both, "1", "3") == 0
    assert np.abs(read(tmp_path / "r") - read(tmp_path / "one")).max() <= 1
    assert np.abs(read(tmp_path / "r") - read(tmp_path / "mixed")).mean() > 0.5


def test_a_style_that_is_given_twice_counts_as_one(root: Path, tmp_path: Path) -> None:
    red, blue = str(root / "red.png"), str(root / "blue.png")
    again = f"{root}/../{root.name}/red.png"
    styles = ["--style", red, blue]
    assert convert(root, tmp_path / "once", *styles) == 0
    assert convert(root, tmp_path / "twice", *styles, again) == 0
    assert (read(tmp_path / "once") == read(tmp_path / "twice")).all()
    assert convert(root, tmp_path / "mixed", *styles, "--style_weights", "3", "1") == 0
    weights = ["--style_weights", "1", "1", "2"]
    assert convert(root, tmp_path / "parts", *styles, again, *weights) == 0
    assert (read(tmp_path / "mixed") == read(tmp_path / "parts")).all()


def test_outside_the_mask_nothing_changes(root: Path, tmp_path: Path) -> None:
    mask = np.zeros((40, 48), np.uint8)
    mask[:, 24:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    flags = ["--style", str(root / "red.png"), "--mask", str(tmp_path / "mask.png")]
    assert convert(root, tmp_path / "out", *flags) == 0
    assert convert(root, tmp_path / "whole", "--style", str(root / "red.png")) == 0
    before, made, whole = (
        read(folder) for folder in (root / "photographs", tmp_path / "out", tmp_path / "whole")
    )
    assert np.array_equal(made[:, :24], before[:, :24])
    assert np.array_equal(made[:, 24:], whole[:, 24:])
    assert not np.array_equal(made[:, 24:], before[:, 24:])


def test_strength_is_between_input_and_conversion(root: Path, tmp_path: Path) -> None:
    assert (
        convert(root, tmp_path / "none", "--style", str(root / "red.png"), "--strength", "0") == 0
    )
    assert np.array_equal(read(tmp_path / "none"), read(root / "photographs"))


def test_what_cannot_be_done_is_one_line(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    red = str(root / "red.png")
    with pytest.raises(UserError, match="--style FILE to convert or to export"):
        convert(root, tmp_path / "out")
    with pytest.raises(UserError, match="--style_weights: 1 for 2 pictures"):
        convert(root, tmp_path / "out", "--style", red, red, "--style_weights", "1")
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    with pytest.raises(UserError, match=r"small\.png: 8x8 pixels are too few"):
        convert(root, tmp_path / "out", "--style", str(tmp_path / "small.png"))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=r"text\.png"):
        convert(root, tmp_path / "out", "--style", str(tmp_path / "text.png"))
    assert convert(root, tmp_path / "out", "--style", red, "--tile", "exact") == 1
    assert "needs the whole picture at once" in caplog.text


def test_other_models_take_no_style(root: Path, tmp_path: Path) -> None:
    from conftest import GOLDEN

    file = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
    flags = ["--input", str(root / "photographs"), "--output", str(tmp_path / "out")]
    with pytest.raises(UserError, match="has its style from training or export"):
        cli.run(["convert", "--weights", str(file), "--style", str(root / "red.png"), *flags])


@pytest.mark.parametrize("kind", ["onnx", "torchscript", "torch-export", "openvino"])
def test_exported_with_its_style_it_makes_the_same(
    root: Path, tmp_path: Path, kind: FormatName
) -> None:
    run = ["--name", "fused", "--checkpoints_dir", str(root / "runs"), "--format", kind]
    style = ["--style", str(root / "red.png"), str(root / "blue.png"), "--style_weights", "3", "1"]
    file = tmp_path / f"fused{FORMATS[kind].ending}"
    assert cli.run(["export", *run, *style, "--output", str(file)]) == 0
    into = ["--input", str(root / "photographs"), "--output", str(tmp_path / "out")]
    weights = ["--weights", str(file), "--trust_code"]
    assert cli.run(["convert", *weights, *into]) == 0
    assert convert(root, tmp_path / "here", *style) == 0
    assert np.abs(read(tmp_path / "out") - read(tmp_path / "here")).max() <= 1
    with pytest.raises(UserError, match="has its style from training or export"):
        cli.run(["convert", *weights, *style, *into])


@pytest.mark.parametrize(("kind", "words"), [("safetensors", "its styles"), ("classic", "fusion")])
def test_weights_alone_are_no_fusion_model(
    root: Path, tmp_path: Path, kind: FormatName, words: str
) -> None:
    run = ["--name", "fused", "--checkpoints_dir", str(root / "runs"), "--format", kind]
    with pytest.raises(UserError, match=words):
        cli.run(["export", *run, "--style", str(root / "red.png")])
    with pytest.raises(UserError, match="--style FILE to convert or to export"):
        cli.run(["export", *run])


def test_what_it_has_no_way_back_for_is_said_at_once(root: Path) -> None:
    run = ["--name", "fused", "--checkpoints_dir", str(root / "runs")]
    with pytest.raises(UserError, match="converts one way only, and evaluate measures both"):
        cli.run(["evaluate", *run])
    with pytest.raises(UserError, match=r"--direction BtoA: .* converts one way only, AtoB"):
        cli.run(["convert", *run, "--direction", "BtoA", "--input", str(root), "--output", "b"])
    with pytest.raises(UserError, match=r"--loss_features efficientnet-lite0: .* can't change"):
        cli.run(["train", *run, "--continue_train", "--loss_features", "efficientnet-lite0"])
