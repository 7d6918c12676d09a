"""Fusion: trained on pairs of photograph and painting, converted with paintings of any kind."""

from pathlib import Path

import numpy as np
import pytest
from conftest import smooth_image
from PIL import Image

from cyclegan import checkpoint, cli
from cyclegan.errors import UserError
from cyclegan.export.settings import FormatName
from cyclegan.export.table import FORMATS

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
    assert np.abs(red - blue).mean() > 1


def test_several_styles_count_by_their_weights(root: Path, tmp_path: Path) -> None:
    both = ["--style", str(root / "red.png"), str(root / "blue.png"), "--style_weights"]
    assert convert(root, tmp_path / "r", "--style", str(root / "red.png")) == 0
    assert convert(root, tmp_path / "one", *both, "1", "0") == 0
    assert convert(root, tmp_path / "mixed", *both, "1", "3") == 0
    assert np.abs(read(tmp_path / "r") - read(tmp_path / "one")).max() <= 1
    assert np.abs(read(tmp_path / "r") - read(tmp_path / "mixed")).mean() > 0.5


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
    assert "sees the whole picture at once" in caplog.text


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
    assert cli.run(["convert", "--weights", str(file), *into]) == 0
    assert convert(root, tmp_path / "here", *style) == 0
    assert np.abs(read(tmp_path / "out") - read(tmp_path / "here")).max() <= 1
    with pytest.raises(UserError, match="has its style from training or export"):
        cli.run(["convert", "--weights", str(file), *style, *into])


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
    with pytest.raises(UserError, match="converts one way only, and both are measured"):
        cli.run(["evaluate", *run])
    with pytest.raises(UserError, match=r"--direction BtoA: .* converts one way only, AtoB"):
        cli.run(["convert", *run, "--direction", "BtoA", "--input", str(root), "--output", "b"])
    with pytest.raises(UserError, match=r"--loss_features efficientnet-lite0: .* can't change"):
        cli.run(["train", *run, "--continue_train", "--loss_features", "efficientnet-lite0"])
