"""Runs, converted folders and exported files that version 0.1.0 left are gone on with."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan import checkpoint, cli

STORED = Path(__file__).parent / "stored"
STYLES = {
    "cycle_gan": [],
    "one_painting": ["--style_mix", "10=0.7,11=0.3"],
    "fusion": ["--style", "{}/paintings/10.png"],
}
#: What the clock and the machine say, not the training.
MEASURED = {"seconds", "images_per_second", "waiting_for_images", "memory_gib"}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A copy of all that is stored, in a place that the runs have never been in."""
    return shutil.copytree(STORED, tmp_path / "moved")


def run_flags(stored: Path, name: str) -> list[str]:
    return ["--checkpoints_dir", str(stored / "runs"), "--name", name]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.int16)


def rows(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", STYLES)
def test_a_stored_run_trains_one_more_epoch_as_it_would_have(stored: Path, name: str) -> None:
    run = stored / "runs" / name
    before = (run / "losses.jsonl").read_text()
    flags = ["--continue_train", "--n_epochs", "2"]
    assert cli.run(["train", *flags, *run_flags(stored, name)]) == 0
    after = (run / "losses.jsonl").read_text()
    assert after.startswith(before)
    expected = rows(stored / "expected" / f"{name}.jsonl")
    assert len(expected) == 2
    for known, row in zip(expected, rows(run / "losses.jsonl")[-2:], strict=True):
        assert list(known) == list(row)
        told = known.keys() - MEASURED
        assert {key: row[key] for key in told} == pytest.approx(
            {key: known[key] for key in told}, rel=1e-2
        )
    saved = checkpoint.load(run / "latest.pt")
    assert (saved.position.epoch, saved.position.images) == (4, 6)


@pytest.mark.parametrize("name", STYLES)
def test_a_stored_run_converts_as_it_did(stored: Path, name: str) -> None:
    made, style = stored / "made.png", [part.format(stored) for part in STYLES[name]]
    into = ["--input", str(stored / "inputs" / "6.png"), "--output", str(made)]
    same = ["--device", "cpu", "--precision", "fp32"]
    assert cli.run(["convert", *run_flags(stored, name), *into, *same, *style]) == 0
    expected = pixels(stored / "expected" / f"{name}.png")
    assert abs(pixels(made) - expected).max() <= 1


def test_a_stored_run_is_told_of(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["runs", "--checkpoints_dir", str(stored / "runs"), "--json"]) == 0
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert told.keys() == STYLES.keys()
    assert {(one["state"], one["images"]) for one in told.values()} == {("finished", 4)}
    where = ["--checkpoints_dir", str(stored / "runs")]
    assert cli.run(["report", "cycle_gan", *where, "--csv"]) == 0
    table = (stored / "runs" / "cycle_gan" / "losses.csv").read_text()
    assert table == (STORED / "runs" / "cycle_gan" / "losses.csv").read_text()
    assert cli.run(["report", "cycle_gan", *where]) == 0
    page = (stored / "runs" / "cycle_gan" / "report.html").read_text()
    assert "cycle consistency" in page and "KID of held-out conversions" in page


def test_a_half_converted_folder_goes_on_with_the_rest(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stored / "converted"
    _as_if_made_here(out, stored)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert before.keys() == {"6.png", "7.png"}
    into = ["--input", str(stored / "inputs"), "--output", str(out), "--device", "cpu"]
    assert cli.run(["convert", *run_flags(stored, "cycle_gan"), *into]) == 0
    assert "2 converted, 2 skipped (finished before), 0 failed" in capsys.readouterr().out
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert after.keys() == {"6.png", "7.png", "8.png", "9.png"}
    assert before.items() <= after.items()
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 4


def _as_if_made_here(out: Path, stored: Path) -> None:
    """The inputs where the manifest has them, of the time that it has them from."""
    lines = rows(out / "manifest.jsonl")
    for line in lines:
        source = stored / "inputs" / Path(str(line["input"])).name
        os.utime(source, ns=(line["input_time"], line["input_time"]))
        line["input"] = str(source.resolve())
    (out / "manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_a_stored_exported_file_converts_as_the_run(stored: Path) -> None:
    made = stored / "made.png"
    into = ["--input", str(stored / "inputs" / "6.png"), "--output", str(made), "--device", "cpu"]
    assert cli.run(["convert", "--weights", str(stored / "g.safetensors"), *into]) == 0
    assert abs(pixels(made) - pixels(stored / "expected" / "cycle_gan.png")).max() <= 1
