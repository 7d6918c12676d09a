"""The commands `data check` and `data sample`."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cyclegan import cli
from cyclegan.data import sample
from cyclegan.data.sample_painting import paint
from cyclegan.errors import UserError


def test_check_counts_and_names(dataroot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["data", "check", str(dataroot)]) == 0
    table = capsys.readouterr().out
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


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float32)


def test_sample_has_all_folders(sample_set: Path) -> None:
    names = {
        folder.name: {path.name for path in folder.iterdir()}
        for folder in sample_set.iterdir()
        if folder.is_dir()
    }
    train, paintings = {"trainA", "trainB"}, names.pop("paintings")
    assert train | {"testA", "testB", "twinsA", "twinsB"} == set(names)
    assert len(names["trainA"]) == len(names["trainB"]) >= 20 < len(paintings)
    assert names["testA"] == names["twinsA"] == names["testB"] == names["twinsB"]
    assert len(names["testA"]) == 2


def test_no_photograph_is_in_two_places(sample_set: Path) -> None:
    """Training never sees a pair, and none of what is tested; not in other light either."""
    roles = [sample.PHOTOGRAPHED, sample.PAINTED, sample.TEST]
    assert len({name for role in roles for name in role}) == sum(map(len, roles))
    for folder, role in zip(("trainA", "trainB", "testA"), roles, strict=True):
        assert {path.stem.split("_")[0] for path in (sample_set / folder).iterdir()} == {*role}


def test_everyone_who_took_a_photograph_is_named(sample_set: Path) -> None:
    said = (sample_set / "SOURCES.txt").read_text()
    shipped = [*(Path(sample.__file__).parent / "photographs").iterdir()]
    assert {path.stem for path in shipped} == {*sample.CREDITS}
    assert sum(path.stat().st_size for path in shipped) < 1e6
    for path in shipped:
        assert f"{path.stem}: {sample.CREDITS[path.stem]}" in said
        assert re.search("CC0|CC BY [24].0|public domain", sample.CREDITS[path.stem])
        assert max(Image.open(path).size) == 512


def test_b_is_painted(sample_set: Path) -> None:
    """The motif stays, its fine detail doesn't; a clear sky has strokes."""
    for name in sample.TEST:
        photo, twin = (pixels(sample_set / f"{kind}A/{name}.png") for kind in ("test", "twins"))
        broad, painted = (cv2.GaussianBlur(each, (0, 0), 12) for each in (photo, twin))
        assert np.corrcoef(broad.ravel(), painted.ravel())[0, 1] > 0.9
        assert np.corrcoef(fine(photo).ravel(), fine(twin).ravel())[0, 1] < 0.4
    photo, twin = (pixels(sample_set / f"{kind}A/temple.png") for kind in ("test", "twins"))
    sky = np.s_[20:100, 300:500]
    assert fine(twin)[sky].std() > 3 * fine(photo)[sky].std()


def fine(picture: np.ndarray) -> np.ndarray:
    return picture - cv2.GaussianBlur(picture, (0, 0), 2)


def test_strokes_follow_edges() -> None:
    """Along the edge of a disc the paint varies across its direction more than along it."""
    rows, columns = np.mgrid[-100:100, -100:100]
    away = np.hypot(rows, columns)
    disc = np.where(away < 60, 60, 200).astype(np.uint8)
    painted = paint(np.repeat(disc[..., None], 3, 2)).mean(2)
    down, across = np.gradient(painted)
    ring = (away > 54) & (away < 66)
    out = (down * rows + across * columns)[ring] / away[ring]
    round_ = (across * rows - down * columns)[ring] / away[ring]
    assert np.abs(out).mean() > 2 * np.abs(round_).mean()


def test_the_same_seed_paints_the_same() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    assert np.array_equal(paint(photo, 1), paint(photo, 1))
    assert not np.array_equal(paint(photo, 1), paint(photo, 2))


def test_the_paintings_have_colours_all_around_the_circle(sample_set: Path) -> None:
    files = sorted((sample_set / "paintings").iterdir())
    turns = []
    for path in files:
        hsv = np.asarray(Image.open(path).convert("HSV"), float)
        turns.append(np.angle((hsv[..., 1] * np.exp(2j * np.pi * hsv[..., 0] / 256)).mean()))
    histogram, _ = np.histogram(turns, 6, (-np.pi, np.pi))
    assert histogram.min() >= 1


def test_no_painting_is_another(sample_set: Path) -> None:
    """So `painting.png` shows what fusion makes of a style that it was not trained on."""
    files = [sample_set / "painting.png", *(sample_set / "paintings").iterdir()]
    small = [np.asarray(Image.open(path).convert("RGB").resize((64, 64)), int) for path in files]
    apart = [np.abs(small[0] - other).mean() for other in small[1:]]
    assert min(apart) > 5


def test_sample_runs_twice_and_changes_nothing(sample_set: Path) -> None:
    changed = next((sample_set / "trainA").iterdir())
    changed.write_bytes(b"mine")
    assert sample.make_sample(sample_set) == 0
    assert changed.read_bytes() == b"mine"
