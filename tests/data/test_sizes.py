"""Images that can't be trained on are found before training."""

from pathlib import Path

import pytest
from conftest import smooth_image

from cyclegan.data import DataSettings
from cyclegan.data.check import check_sizes
from cyclegan.errors import UserError


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    sizes = {"wide.png": (80, 40), "square.png": (40, 40), "small.png": (30, 40)}
    for name, size in sizes.items():
        smooth_image(1, size).save(tmp_path / name)
    return [tmp_path / name for name in sizes]


def test_smaller_than_the_crop(paths: list[Path]) -> None:
    settings = DataSettings(preprocess="crop", crop_size=32)
    with pytest.raises(UserError, match=r"small\.png: 30x40 is smaller than --crop_size 32"):
        check_sizes(paths, settings, smallest_side=8, alike=False)
    check_sizes(paths[:2], settings, smallest_side=8, alike=True)


def test_mixed_sizes_in_a_batch(paths: list[Path]) -> None:
    settings = DataSettings(preprocess="none", crop_size=32)
    check_sizes(paths, settings, smallest_side=8, alike=False)
    with pytest.raises(
        UserError, match=r"square\.png is 40x40 and .*wide\.png is 80x40.*batch_size 1"
    ):
        check_sizes(paths, settings, smallest_side=8, alike=True)


def test_too_small_for_the_networks(paths: list[Path]) -> None:
    with pytest.raises(UserError, match=r"small\.png: 32x40 is too small"):
        check_sizes(paths, DataSettings(preprocess="none"), smallest_side=36, alike=False)


def test_scaling_to_a_square_needs_no_look(paths: list[Path]) -> None:
    missing = [Path("missing.png"), *paths]
    assert check_sizes(missing, DataSettings(), smallest_side=24, alike=True) is None


def test_unreadable_files_are_left_for_later(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no image")
    settings = DataSettings(preprocess="crop", crop_size=24)
    with_bad = [tmp_path / "bad.png", *paths]
    assert check_sizes(with_bad, settings, smallest_side=24, alike=True) is None
