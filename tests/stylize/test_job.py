"""`cyclegan stylize` as it is called, on real files."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_image
from feature_weights import save_vgg
from PIL import Image

from cyclegan import cli, images
from cyclegan.errors import UserError
from cyclegan.features import vgg
from cyclegan.images.document import open_document
from cyclegan.stylize import job
from cyclegan.stylize.job import within
from cyclegan.stylize.optimise import fitted

QUICK = ("--loss_features", "plain", "--steps", "15", "--scales", "1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photo.jpg with EXIF, 100x72, and a striped painting.png."""
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[0x010E] = "a hill"
    smooth_image(1, (100, 72)).save("photo.jpg", exif=exif)
    stripes = np.zeros((80, 80, 3), np.uint8)
    stripes[:, ::4, 0] = stripes[:, 1::4, 0] = 255
    Image.fromarray(stripes).save("painting.png")
    return tmp_path


def stylize(*more: str, output: str = "out.png", flags: tuple[str, ...] = QUICK) -> int:
    files = ["--content", "photo.jpg", "--style", "painting.png", "--output", output]
    return cli.run(["stylize", *files, *flags, *more])


def pixels(path: str) -> np.ndarray:
    return np.asarray(images.read(Path(path), 3)).astype(float)


def loss_of(told: str) -> float:
    return float(told.split("loss ")[1].split()[0])


def test_it_paints_and_says_what_it_came_to(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize(output="sub/out.jpg") == 0
    told = capsys.readouterr()
    assert told.out.startswith("sub/out.jpg: 100x72, loss ")
    for name in ("content", "style", "total_variation"):
        assert f"{name} " in told.out
        assert f"{name} " in told.err, "beside the bar"
    first, *_, last = told.err.splitlines()
    assert first == "starting stylize"
    assert re.fullmatch(
        r"100x72 content \S+ style \S+ total_variation \S+: 15/15 steps in \d+ s", last
    )
    with Image.open("sub/out.jpg") as made:
        assert made.size == (100, 72)
        assert made.getexif()[0x010E] == "a hill"
    before, after, painting = (pixels(f) for f in ("photo.jpg", "sub/out.jpg", "painting.png"))
    assert np.abs(before - after).mean() > 10
    wanted = painting.mean((0, 1))
    assert np.abs(after.mean((0, 1)) - wanted).sum() < np.abs(before.mean((0, 1)) - wanted).sum()
    assert [path.name for path in here.iterdir() if "unfinished" in path.name] == []


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_more_steps_come_to_less(
    here: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    losses = []
    for steps in ("1", "5", "25"):
        flags = ("--loss_features", "plain", "--scales", "1", "--steps", steps, "--overwrite")
        assert stylize("--method", method, flags=flags) == 0
        losses.append(loss_of(capsys.readouterr().out))
    assert losses[0] > losses[1] > losses[2]


def test_the_weights_decide_whose_it_is_more_like(here: Path) -> None:
    assert stylize("--lambda_style", "0", "--lambda_tv", "0", output="same.png") == 0
    assert np.abs(pixels("same.png") - pixels("photo.jpg")).max() <= 1
    assert stylize("--start", "noise", output="noise.png") == 0
    assert stylize("--start", "noise", output="again.png") == 0
    assert stylize("--start", "noise", "--seed", "7", output="other.png") == 0
    assert Path("noise.png").read_bytes() == Path("again.png").read_bytes()
    assert Path("noise.png").read_bytes() != Path("other.png").read_bytes()


def test_size_is_the_longer_side(here: Path) -> None:
    assert stylize("--size", "50") == 0
    with Image.open("out.png") as made:
        assert made.size == (50, 36)
    assert within((4000, 3000), 512) == (512, 384)
    assert within((30, 40), 512) == (30, 40)


def test_bits_and_transparency_stay(here: Path) -> None:
    smooth = np.linspace(0, 65535, 64 * 64 * 4).reshape(64, 64, 4).astype(np.uint16)
    import cv2

    cv2.imwrite("deep.png", smooth)
    assert stylize("--content", "deep.png") == 0
    (made,) = open_document(Path("out.png")).pictures
    assert made.pixels.dtype == np.uint16
    assert made.pixels.shape == (64, 64, 3)
    assert made.alpha is not None
    assert np.array_equal(made.alpha, smooth[:, :, 3])
    assert stylize("--content", "deep.png", output="out.jpg") == 0
    assert pixels("out.jpg").shape == (64, 64, 3)


def test_gray_pictures_take_the_painting_s_colours(here: Path) -> None:
    smooth_image(3, (64, 64), "L").save("gray.png")
    assert stylize("--content", "gray.png") == 0
    made = pixels("out.png")
    assert np.abs(made[:, :, 0] - made[:, :, 1]).mean() > 5


def test_what_is_there_is_not_replaced_unasked(here: Path) -> None:
    Path("out.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"out\.png: already exists: .*--overwrite"):
        stylize()
    assert Path("out.png").read_bytes() == b"mine"
    assert stylize("--overwrite") == 0
    assert pixels("out.png").shape == (72, 100, 3)


def test_what_appeared_meanwhile_is_not_overwritten(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(best: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        Path("out.png").write_text("mine")
        return fitted(best, like)

    monkeypatch.setattr(job, "fitted", slow)
    with pytest.raises(UserError, match=r"out\.png: already exists: .*--overwrite"):
        stylize()
    assert Path("out.png").read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--style", "tiny.png"], "--style tiny.png: 8x8 pixels are too few for a style"),
        (["--style", "none.png"], "none.png: no such file"),
        (["--style", "text.png"], "text.png: not an image"),
        (["--content", "moving.gif"], "--content moving.gif: holds 2 pictures"),
        (
            ["--content", "tiny.png"],
            "--content tiny.png: 8x8 pixels are too few for the chosen layers",
        ),
        (["--content", "photo.jpg", "--output", "photo.jpg", "--overwrite"], "is --content itself"),
        (["--output", "painting.png", "--overwrite"], "is --style itself"),
        (["--output", "out.xyz"], "--output out.xyz: give a file that ends in"),
        (["--output", "."], "--output .: give a file"),
        (["--output", "folder.png"], "--output folder.png: a folder"),
        (["--style_layers", "conv11"], "plain has no such layer, perhaps you meant conv1"),
        (["--content_layers", "relu4_2"], "--content_layers relu4_2: plain has no such layer"),
        (["--feature_weights", "text.png"], "text.png: "),
        (["--feature_weights", "none.pth"], "none.pth: no such file"),
        (["--lambda_content", "0", "--lambda_style", "0"], "nothing to optimise"),
        (["--method", "sgd"], "--method"),
        (["--steps", "0"], "--steps 0: "),
    ],
)
def test_bad_input_is_one_line(here: Path, flags: list[str], words: str) -> None:
    smooth_image(1, (8, 8)).save("tiny.png")
    Path("text.png").write_text("no picture")
    Path("folder.png").mkdir()
    frames = [smooth_image(number, (40, 40)) for number in (1, 2)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError) as error:
        stylize(*flags)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code > 0
    assert not Path("out.png").exists()


def test_vgg_by_path(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_vgg(here / "vgg.pth", layers=2, normalised=True)
    flags = ("--feature_weights", "vgg.pth", "--steps", "2", "--scales", "1", "--size", "40")
    assert stylize(flags=flags) == 0
    with pytest.raises(UserError, match=r"relu4_1: vgg19 has no such layer.*; choose from relu1_1"):
        stylize("--style_layers", "relu4_1", "--overwrite", flags=flags)


def test_without_weights_and_network_it_says_so_and_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))  # where it is kept what was told
    monkeypatch.setattr(torch.hub, "_hub_dir", str(here / "hub"))
    monkeypatch.setattr(vgg, "URL", "http://127.0.0.1:9/vgg19-00000000.pth")
    assert stylize(flags=("--steps", "2", "--scales", "1", "--size", "40")) == 0
    assert "give the file with --feature_weights FILE; using efficientnet-lite0" in caplog.text
    assert len(caplog.records) == 1
    assert Path("out.png").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_keeps_the_best_so_far(here: Path, number: signal.Signals, code: int) -> None:
    """A real process, stopped once its bar tells losses; the bar needs a terminal to move on."""
    smooth_image(1, (200, 144)).save("photo.jpg")
    ours, its = pty.openpty()
    files = ["--content", "photo.jpg", "--style", "large.png", "--output", "out.jpg"]
    smooth_image(2, (150, 150)).save("large.png")
    more = ["--loss_features", "plain", "--steps", "1000000", "--method", "adam"]
    command = [sys.executable, "-m", "cyclegan", "stylize", *files, *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its, text=True) as process:
        os.close(its)
        shown = b""
        while b"style" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(number)
        while True:  # or the process would wait for its terminal
            try:
                shown += os.read(ours, 4096) or b""
            except OSError:
                break
        out = process.communicate(timeout=60)[0]
    os.close(ours)
    assert process.returncode == code, shown
    assert b"Traceback" not in shown
    assert out.startswith("out.jpg: 200x144, loss ")
    assert f"stopped by {number.name}; the best so far is in out.jpg; the same" in shown.decode()
    assert "(reached 100x72 content" in out, "the first and coarsest size"
    assert np.abs(pixels("out.jpg") - pixels("photo.jpg")).mean() > 0.1
    assert {path.name for path in here.glob("*out*")} == {"out.jpg"}
