"""Pictures of one size are converted together, with the same result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDEN, smooth_image
from PIL import Image
from torch import Tensor

from cyclegan.conversion.job import convert
from cyclegan.conversion.settings import ConvertSettings
from cyclegan.conversion.translator import Translator

FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five of one size with one of another among them, one gray, one with transparency."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(6):
        smooth_image(number, (33, 21) if number != 2 else (20, 20)).save(root / f"{number}.png")
    smooth_image(6, (33, 21), "L").save(root / "6.png")
    smooth_image(7, (33, 21), "RGBA").save(root / "7.png")
    return root


def settings(source: Path, output: Path, **more: object) -> ConvertSettings:
    given = {"input": source, "output": output, "weights": FILE, "precision": "fp32"}
    return ConvertSettings(**given | more)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that reach the generator, as they do."""
    sizes: list[int] = []
    real: Callable[[Any, Tensor], Tensor] = Translator.convert_batch

    def counted(self: Translator, images: Tensor) -> Tensor:
        sizes.append(len(images))
        return real(self, images)

    monkeypatch.setattr(Translator, "convert_batch", counted)
    return sizes


def test_batches_form_from_equal_sizes(pictures: Path, tmp_path: Path, batches: list[int]) -> None:
    assert convert(settings(pictures, tmp_path / "one", batch_size=1)) == 0
    assert batches == []
    assert convert(settings(pictures, tmp_path / "many", batch_size=3)) == 0
    assert batches == [2, 3]  # 0 and 1, then 3 to 5; a gray one has another shape in memory
    for path in sorted((tmp_path / "one").glob("*.png")):
        with Image.open(path) as one, Image.open(tmp_path / "many" / path.name) as other:
            assert one.mode == other.mode
            apart = np.abs(np.asarray(one).astype(int) - np.asarray(other))
            assert apart.max() <= 1, path.name


def test_one_that_fails_fails_alone(
    pictures: Path, tmp_path: Path, batches: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "4.png").write_bytes(b"broken")
    assert convert(settings(pictures, tmp_path / "out", batch_size=8)) == 1
    assert batches == [2, 2]
    assert caplog.text.count("4.png") == 1
    assert len([*(tmp_path / "out").glob("*.png")]) == 7


def test_where_all_together_are_too_large_each_is_converted_alone(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Translator, "_fits", lambda self, shape, count=1: count == 1)
    assert convert(settings(pictures, tmp_path / "out", batch_size=3)) == 0
