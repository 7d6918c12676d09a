"""Conversion's figures are complete, and its pictures are compared."""

import json
from pathlib import Path

import pytest
from conftest import GOLDEN, smooth_image

from cyclegan.cli import run

FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "in" / "deep"
    root.mkdir(parents=True)
    for number in range(3):
        smooth_image(number, (21, 18)).save(root / f"{number}.png")
    return root.parent


def test_json_holds_times_memory_and_the_difference(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--weights", str(FILE), "--input", str(pictures), "--pairs", "1", "--json"]
    assert run(["benchmark", "convert", *args, "--precision", "bf16"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plain"] == "fp32"
    assert told["chosen"].startswith("bf16")
    assert told["images"] == 3
    assert set(told["time"]) == {"plain", "chosen", "ratio"}
    assert told["memory"]["ratio"] == told["memory"]["chosen"] / told["memory"]["plain"]
    assert 0 < told["levels"] < 3, "bfloat16 is near, and not the same"
    assert told["rate"] > 0
    assert told["pictures_per_second"] > 0
    assert not (tmp_path / "benchmark").exists()


def test_the_same_precision_is_the_same_picture(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a JPEG too, whose own quality one way would keep and the other not."""
    smooth_image(3, (21, 18)).save(pictures / "x.jpg", quality=40)
    args = ["--weights", str(FILE), "--input", str(pictures), "--pairs", "1"]
    assert run(["benchmark", "convert", *args, "--precision", "fp32"]) == 0
    shown = capsys.readouterr().out
    assert "mean difference of the pictures: 0.0" in shown
    assert "chosen, 4 images in a row: " in shown
