"""The commands `data check` and `data sample`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan import cli
from cyclegan.data import sample
from cyclegan.errors import UserError


def test_check_counts_and_names(dataroot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["data", "check", str(dataroot)]) == 0
    table, log = capsys.readouterr()
    assert log.startswith("looking through trainA: 0/6 images\n")
    for words in ("trainA", "6", "trainB", "4", "testA", "3", "40x36"):
        assert words in table
    (dataroot / "trainB" / "1.png").write_bytes(b"")
    (dataroot / "testA" / "2.png").write_text("text")
    assert cli.run(["data", "check", str(dataroot)]) == 1
    shown = capsys.readouterr().out
    assert f"{dataroot}/trainB/1.png: empty file" in shown
    assert f"{dataroot}/testA/2.png: not an image" in shown


def test_check_of_one_folder(dataroot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["data", "check", str(dataroot / "trainA")]) == 0
    assert "trainA" in capsys.readouterr().out


def test_check_says_what_is_missing(dataroot: Path, tmp_path: Path) -> None:
    for path in (dataroot / "trainB").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="trainB: holds no images"):
        cli.run(["data", "check", str(dataroot)])
    (dataroot / "trainB").rmdir()
    with pytest.raises(UserError, match="trainB: no such folder"):
        cli.run(["data", "check", str(dataroot)])
    with pytest.raises(UserError, match="nothing: no such folder"):
        cli.run(["data", "check", str(tmp_path / "nothing")])


@pytest.fixture(scope="module")
def sample_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    sample.make_sample(root)
    return root


def test_sample_has_all_folders(sample_set: Path) -> None:
    counts = {folder.name: len(list(folder.iterdir())) for folder in sample_set.iterdir()
              if folder.is_dir()}  # fmt: skip
    assert set(counts) == {"trainA", "trainB", "testA", "testB", "twinsA", "paintings"}
    assert min(counts["trainA"], counts["trainB"]) >= 100
    assert counts["testA"] == counts["twinsA"] >= 12
    names = [{path.name for path in (sample_set / name).iterdir()} for name in ("testA", "twinsA")]
    assert names[0] == names[1]
    assert "CC" in (sample_set / "SOURCES.txt").read_text()


@pytest.mark.parametrize("size", [(480, 320), (480, 480), (300, 200)])
def test_regions_are_disjoint(size: tuple[int, int]) -> None:
    covered = np.zeros(size[::-1], dtype=int)
    for left, top, right, bottom in sample._regions(*size).values():
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1


def test_b_is_drawn_and_a_is_not(sample_set: Path) -> None:
    """Pencil leaves the paper white; photographs have little of it."""

    def white(folder: str) -> float:
        pixels = [np.asarray(Image.open(path)) for path in (sample_set / folder).iterdir()]
        return float(np.mean([(image > 240).all(-1).mean() for image in pixels]))

    assert white("trainB") > 3 * white("trainA")
    assert white("twinsA") > 3 * white("testA")


def test_the_paintings_have_colours_all_around_the_circle(sample_set: Path) -> None:
    files = sorted((sample_set / "paintings").iterdir())
    hues = [np.asarray(Image.open(path).convert("HSV"))[:100, :, 0] / 256 for path in files]
    skies = [np.angle(np.exp(2j * np.pi * hue).mean()) / (2 * np.pi) % 1 for hue in hues]
    assert len(files) == sample.PAINTINGS
    assert np.diff(sorted(skies), append=min(skies) + 1).max() < 2.5 / sample.PAINTINGS


def test_no_painting_is_another(sample_set: Path) -> None:
    """So `painting.png` shows what fusion makes of a style that it was not trained on."""
    files = [sample_set / "painting.png", *(sample_set / "paintings").iterdir()]
    small = [np.asarray(Image.open(path).convert("RGB").resize((64, 64)), int) for path in files]
    apart = [np.abs(small[0] - other).mean() for other in small[1:]]
    assert min(apart) > 20


def test_sample_runs_twice_and_changes_nothing(sample_set: Path) -> None:
    changed = next((sample_set / "trainA").iterdir())
    changed.write_bytes(b"mine")
    assert sample.make_sample(sample_set) == 0
    assert changed.read_bytes() == b"mine"


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = sample.Photograph("no_such_package", "x.png", "nobody")
    monkeypatch.setattr(sample, "PHOTOGRAPHS", (missing,))
    with pytest.raises(UserError, match=r"pip install .*\[sample\]"):
        sample.make_sample(tmp_path)
