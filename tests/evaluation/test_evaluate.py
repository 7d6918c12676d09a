"""The evaluate command on a run that trains in moments, and on two folders."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tomli_w
import torch
from conftest import smooth_image
from PIL import Image, ImageFilter, ImageOps
from visdom_server import Server

from cyclegan import assemble, images
from cyclegan.cli import run
from cyclegan.conversion.translator import Translator
from cyclegan.data.preprocess import CenterCrop
from cyclegan.errors import UsageError, UserError
from cyclegan.evaluation import EvaluateSettings, domain
from cyclegan.evaluation.direction import make_scorer
from cyclegan.evaluation.domain import crops_of, open_domain, view_of
from cyclegan.evaluation.eval_set import make_ways
from cyclegan.evaluation.evaluate import _paths, compare_folders, converter
from cyclegan.evaluation.quality import style_distance
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.table import FEATURES
from cyclegan.settings import Settings, from_table


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pictures(
    folder: Path,
    count: int,
    blur: float = 0.0,
    first: int = 0,
    size: tuple[int, int] = (64, 64),
) -> Path:
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        image = smooth_image(number, size)
        image.filter(ImageFilter.GaussianBlur(blur)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def trained(tiny: dict, dataroot: Path) -> Settings:
    pictures(dataroot / "testB", 5, first=200, size=(40, 36))
    for number in (7, 8):
        smooth_image(number).save(dataroot / "testA" / f"{number}.png")
    settings = from_table(tiny, "test")
    assemble.train(settings)
    return settings


def evaluate(settings: Settings, *more: str) -> int:
    place = str(settings.run.checkpoints_dir)
    return run(["evaluate", "--name", "tiny", "--checkpoints_dir", place, *more])


def test_json_has_both_directions(trained: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert evaluate(trained, "--json") == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    begun, *_, ended = shown.err.splitlines()
    assert begun == "starting evaluate"
    assert re.fullmatch(r"evaluating: (\d+)/\1 pictures in \d+ s", ended)
    assert (told["network"], told["resize"]) == (
        "efficientnet-lite0",
        "bicubic, antialiased, to 224 px",
    )
    assert (told["images_seen"], told["side"]) == (12, 24)
    assert [told[name]["images"] for name in ("A_to_B", "B_to_A")] == [5, 5]
    assert [told[name]["real_images"] for name in ("A_to_B", "B_to_A")] == [9, 11]
    for name in ("A_to_B", "B_to_A"):
        assert set(told[name]["kid"]) == {"value", "error"}
        assert set(told[name]["content"]) == {
            "ssim", "feature_distance", "structure_distance",
            "cycle", "identity", "copies", "diversity",
        }  # fmt: skip
    assert json.loads((trained.run.folder / "evaluation.json").read_text()) == [told]
    assert (
        f"{told['A_to_B']['kid']['value']:.4f}" in (trained.run.folder / "report.html").read_text()
    )


def test_all_checkpoints_make_a_curve(
    trained: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert evaluate(trained, "--json", "--epoch", "all", "--images", "4") == 0
    told = json.loads(capsys.readouterr().out)["checkpoints"]
    assert [one["images_seen"] for one in told] == [6, 12, 12]
    kept = json.loads((trained.run.folder / "evaluation.json").read_text())
    assert [one["epoch"] for one in kept] == ["1", "2", "latest"]
    assert evaluate(trained, "--epoch", "all", "--images", "4") == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[-1] == f"drawn as curves: {(trained.run.folder / 'report.html').as_uri()}"
    assert [row.split()[1] for row in rows if "±" in row] == ["1", "2", "latest"]
    page = (trained.run.folder / "report.html").read_text()
    assert "KID of the test images, 24 px, by efficientnet-lite0" in page
    assert evaluate(trained, "--images", "4") == 0
    shown = capsys.readouterr().out
    assert "KID of the unconverted" in shown
    assert "compare it only between sets of equal size" in shown


def test_progress_and_style_are_told(trained: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Two whole test pictures a domain with their twins: squares of them are compared."""
    root = trained.data.dataroot
    assert root is not None
    for name in "AB":
        shutil.rmtree(root / f"test{name}")
        (root / f"test{name}").mkdir()
        (root / f"twins{name}").mkdir()
        for number in range(2):
            photo = smooth_image(number + 60, (80, 96))
            photo.save(root / f"test{name}" / f"{number}.png")
            ImageOps.posterize(photo, 1).save(root / f"twins{name}" / f"{number}.jpg")
    capsys.readouterr()
    assert evaluate(trained, "--json", "--crops", "12") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["crops"] == 12
    for name in ("A_to_B", "B_to_A"):
        way = told[name]
        assert (way["images"], way["real_images"], way["target"]) == (12, 12, "twins")
        share = 1 - way["kid"]["value"] / way["unconverted_kid"]["value"]
        assert way["progress"]["value"] == pytest.approx(share)
        assert 0 < way["progress"]["error"] < 1
        assert way["style"]["unconverted"] > 0.1
        assert way["style"]["ratio"] == way["style"]["converted"] / way["style"]["unconverted"]
    (root / "twinsA" / "1.jpg").unlink()
    assert evaluate(trained, "--crops", "12") == 0
    shown = capsys.readouterr().out
    assert "progress: 0 is the unconverted input, 1 is like the target" in shown
    (counts,) = (line for line in shown.splitlines() if "pictures, real ones" in line)
    assert "12, 12 (twins)" in counts
    (distance,) = (line for line in shown.splitlines() if "style: distance left" in line)
    assert "-" in distance
    assert re.search(r"\d\.\d\d", distance)
    kept = json.loads((trained.run.folder / "evaluation.json").read_text())
    assert [kept[0][name]["target"] for name in ("A_to_B", "B_to_A")] == ["domain", "twins"]
    assert kept[0]["A_to_B"]["style"] is None


def test_what_converts_perfectly_has_come_all_the_way(tmp_path: Path) -> None:
    """Of a direction whose conversion is known: nothing, halfway, the twin itself, worse."""
    network = FEATURES["efficientnet-lite0"](None)
    square = CenterCrop(64, 3)
    sharp, twins = tmp_path / "testA", tmp_path / "twinsA"
    pictures(tmp_path / "trainA", 2)
    pictures(sharp, 2, size=(256, 200))
    twins.mkdir()
    painted = {}
    for path in sorted(sharp.iterdir()):
        twin = ImageOps.posterize(ImageOps.invert(Image.open(path)), 2)
        twin.save(twins / path.name)
        painted[path.name] = twin
    domain = open_domain(tmp_path / "trainA", square, None)
    way = make_ways({"A": domain, "B": domain}, 24, network)["AtoB"]
    assert (way.pictures, way.target, sum(map(len, way.squares(way.sources)))) == (2, "twins", 24)
    whole = [images.to_tensor(painted[path.name])[:, :, :256].unsqueeze(0) for path in domain.test]
    turns = iter(whole)
    nothing = way.score(lambda batch: batch, network)
    done = way.score(lambda batch: next(turns), network)
    noise = way.score(lambda batch: torch.rand(batch.shape) * 2 - 1, network)
    assert (nothing.progress.value, nothing.ssim) == (0.0, pytest.approx(1.0))
    assert nothing.progress.error == pytest.approx(0.0, abs=1e-9)
    assert done.progress.value == pytest.approx(1.0, abs=0.1)
    assert noise.progress.value + 2 * noise.progress.error < 0
    style = style_distance(way.squares(way.sources), way.squares(whole), way.twins)
    assert style is not None
    assert style.ratio < 0.02


def test_squares_are_cut_where_few_pictures_are_large(tmp_path: Path) -> None:
    few = sorted(pictures(tmp_path / "few", 7).iterdir())
    many = sorted(pictures(tmp_path / "many", 8).iterdir())
    assert crops_of([many, few], 32, None) == 100
    assert crops_of([many, few], 40, None) == 0, "small: 64 px is less than twice 40"
    assert crops_of([many, many], 32, None) == 0
    assert crops_of([few, few], 32, 0) == 0
    view = view_of(few, CenterCrop(32, 3), 100)
    image = view.whole(few[0])
    assert torch.equal(view.cut(image), view.cut(image))
    assert view.cut(image).shape == (15, 3, 32, 32)
    assert len(view_of(few[:1], CenterCrop(32, 3), 100).cut(image)) == 20, "no more than have room"


def test_the_previous_checkpoint_stands_in_for_a_lost_one(tmp_path: Path) -> None:
    for name in ("epoch_5", "previous", "latest"):
        (tmp_path / f"{name}.pt").touch()
    assert list(_paths(tmp_path, "all")) == ["5", "latest"]
    (tmp_path / "latest.pt").unlink()
    assert list(_paths(tmp_path, "all")) == ["5", "previous"]


def test_a_folder_is_like_itself_and_less_like_its_blur(tmp_path: Path) -> None:
    network = FEATURES["efficientnet-lite0"](None)
    sharp = pictures(tmp_path / "sharp", 8)
    same = compare_folders(sharp, pictures(tmp_path / "same", 8), 64, network)
    assert same.fid.value == pytest.approx(0, abs=1e-3)
    assert same.manifold.precision == 1.0
    values = [
        compare_folders(sharp, pictures(tmp_path / f"{blur}", 8, blur=blur), 64, network)
        for blur in (1, 3, 9)
    ]
    assert same.kid.value < values[0].kid.value < values[1].kid.value < values[2].kid.value
    assert values[0].fid.value < values[1].fid.value < values[2].fid.value


def test_real_pictures_are_looked_at_once(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = FEATURES["efficientnet-lite0"](None)
    paths = sorted(pictures(tmp_path / "x", 3).iterdir())
    first = domain.vectors_of(paths, CenterCrop(32, 3), network)
    with monkeypatch.context() as unreadable:
        unreadable.setattr(domain, "squares", None)
        assert torch.equal(domain.vectors_of(paths, CenterCrop(32, 3), network), first)
    smooth_image(50, (64, 64)).save(paths[0])
    assert not torch.equal(domain.vectors_of(paths, CenterCrop(32, 3), network), first)
    assert len(list((own_cache / "cyclegan" / "features").iterdir())) == 2
    os.utime(paths[1], (1, 1))  # another picture of the same size would have another time
    domain.vectors_of(paths, CenterCrop(32, 3), network)
    assert len(list((own_cache / "cyclegan" / "features").iterdir())) == 3


def test_another_test_set_finds_the_training_images_known(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = FEATURES["efficientnet-lite0"](None)
    train = pictures(tmp_path / "trainA", 3)
    one = open_domain(train, CenterCrop(32, 3), None)
    shutil.copytree(train, tmp_path / "testA")
    first = one.vectors(network, 0)
    looked: list[int] = []
    squares = domain.squares
    monkeypatch.setattr(
        domain, "squares", lambda of, view: looked.append(len(of)) or squares(of, view)
    )
    both = open_domain(train, CenterCrop(32, 3), None)
    assert torch.equal(both.vectors(network, 0)[:3], first)
    assert looked == [3]  # of the six


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--name RUN"):
        run(["evaluate", "--real", str(tmp_path)])
    with pytest.raises(UserError, match="no such run"):
        run(["evaluate", "--name", "x", "--checkpoints_dir", str(tmp_path)])
    few = pictures(tmp_path / "few", 2)
    with pytest.raises(UserError, match="2 pictures are too few"):
        run(["evaluate", "--real", str(few), "--fake", str(few)])


def test_the_dashboard_shows_it(trained: Settings, tmp_path: Path) -> None:
    server = Server(tmp_path / "visdom")
    loggers = replace(trained.loggers, visdom=True, display_port=server.port)
    with_server = replace(trained, loggers=loggers)
    written = trained.run.folder / "settings.toml"
    written.write_text(tomli_w.dumps(with_server.table()))
    try:
        assert evaluate(trained, "--images", "4") == 0
        assert "KID A→B" in server.window("evaluation", "tiny")["content"]
        assert evaluate(trained, "--images", "4", "--epoch", "all") == 0
        drawn = server.window("evaluation_0", "tiny")["content"]["data"]
        assert [line["x"] for line in drawn] == [[6, 12]] * 2, "KID in both directions"
    finally:
        server.kill()


def test_features_are_seen_by_the_device_that_converts(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is asked for: no other device is here."""
    told: list[str] = []

    def on(self: FeatureNetwork, device: torch.device) -> FeatureNetwork:
        told.append(f"{self.name} {device}")
        return self

    monkeypatch.setattr(FeatureNetwork, "on", on)
    monkeypatch.setattr(
        "cyclegan.evaluation.evaluate.tune", lambda device, *, same_size: told.append(f"{device}")
    )
    assert evaluate(trained, "--device", "cpu", "--features", "plain") == 0
    assert told[:2] == ["cpu", "plain cpu"]
    told.clear()
    make_scorer(trained, torch.device("cpu"))
    assert told == ["efficientnet-lite0 cpu"]


def test_a_gpu_converts_whole_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a translator on a GPU."""
    stand_in = SimpleNamespace(device=torch.device("cuda"), convert_batch=lambda batch: -batch)
    monkeypatch.setattr(Translator, "load", lambda path, **more: stand_in)
    batch = torch.rand(3, 3, 8, 8)
    assert torch.equal(converter(tmp_path, "AtoB", EvaluateSettings(name="x"))(batch), -batch)
