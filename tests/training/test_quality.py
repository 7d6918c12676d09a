"""A run that measures itself: its best checkpoint, its records, and what stays as it was."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import smooth_image

from cyclegan import Translator, assemble, checkpoint
from cyclegan.evaluation import direction, domain
from cyclegan.metrics.distances import Kid, Progress
from cyclegan.settings import Settings, from_table
from cyclegan.training.best import Best, Score

NO_BETTER = Score(Kid(0.5, 0.1), Progress(0.5, 0.1), 0.9)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def measured(tiny: dict, dataroot: Path) -> Settings:
    (dataroot / "testB").mkdir()
    for folder in ("testA", "testB"):
        for number in range(5):
            smooth_image(number + 50).save(dataroot / folder / f"{number}.png")
    tiny["quality"] = {"eval_freq": 4, "eval_images": 4}
    tiny["generator"] |= {"dropout": True}
    return from_table(tiny, "test")


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


def test_the_best_is_kept_and_converts(measured: Settings) -> None:
    assemble.train(measured)
    folder = measured.run.folder
    with_kid = [record for record in records(folder) if "kid_a_to_b" in record]
    assert [record["images"] for record in with_kid][:1] == [4]
    saved = checkpoint.load(folder / "best.pt")
    assert saved.best["images"] == saved.position.images
    assert saved.best["merit"] == pytest.approx(with_kid[-1]["quality_best"])
    assert Translator.load(folder, epoch="best")(smooth_image(1)).size == (40, 36)


def test_measuring_changes_no_training(measured: Settings) -> None:
    assemble.train(measured)
    plain = replace(
        measured,
        run=replace(measured.run, name="plain"),
        quality=replace(measured.quality, eval_freq=0),
    )
    assemble.train(plain)
    one, other = (
        checkpoint.load(settings.run.folder / "latest.pt").state["networks"]
        for settings in (measured, plain)
    )
    for name, weights in one.items():
        assert all(torch.equal(values, other[name][key]) for key, values in weights.items()), name
    assert not (plain.run.folder / "best.pt").exists()


def test_a_run_ends_by_itself_and_knows_its_best_when_resumed(
    measured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direction.Scorer, "__call__", lambda self, convert: {"a_to_b": NO_BETTER})
    monkeypatch.setattr("cyclegan.training.best.SHARE", 1e9)
    settings = replace(
        measured,
        quality=replace(measured.quality, patience=2),
        training=replace(measured.training, n_epochs=50),
    )
    assemble.train(settings)
    saved = checkpoint.load(settings.run.folder / "latest.pt")
    assert saved.position.images == 12, "measured at 4, 8 and 12"
    assert saved.best == {"merit": 0.5, "images": 4, "since": 2}
    assemble.train(settings, resume=saved)
    assert checkpoint.load(settings.run.folder / "latest.pt").position.images == 12


def test_too_few_test_images_are_told(tiny: dict, caplog: pytest.LogCaptureFixture) -> None:
    tiny["quality"] = {"eval_freq": 4}
    settings = from_table(tiny, "test")
    assemble.train(settings)
    assert "fewer than 4 pictures: quality is not measured" in caplog.text


def test_two_large_test_pictures_are_measured_by_squares(
    tiny: dict, dataroot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "CROPS", 12)
    (dataroot / "testB").mkdir()
    for number in range(3):
        (dataroot / "testA" / f"{number}.png").unlink()
    for folder in ("testA", "testB"):
        for number in range(2):
            smooth_image(number + 50, (90, 101)).save(dataroot / folder / f"{number}.png")
    tiny["quality"] = {"eval_freq": 4}
    settings = from_table(tiny, "test")
    scorer = direction.make_scorer(settings, torch.device("cpu"))
    way = scorer.ways["a_to_b"]
    assert [tuple(batch.shape) for batch in way.sources] == [(1, 3, 100, 88)] * 2, "whole pictures"
    assert sum(map(len, way.squares(way.sources))) == 12
    assert len(way.real) >= 12, "of the other domain, too, squares are compared"
    assemble.train(settings)
    assert any("progress_a_to_b" in record for record in records(settings.run.folder))


def test_an_earlier_runs_best_is_known_by_its_kid() -> None:
    assert Best.of_row(None, 0.2) is None
    assert Best.of_row({"kid": 0.15, "images": 4, "since": 1}, 0.2) == Best(
        pytest.approx(0.25), 4, 1
    )
    assert Best.of_row({"merit": 0.5, "images": 4}, 0.2) == Best(0.5, 4)
