"""A study of a preset against itself, killed on its way; its halves, times, errors and words."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cyclegan.cli import run
from cyclegan.errors import UsageError
from cyclegan.metrics.distances import Kid, Progress
from cyclegan.study.figures import (
    HALVES,
    TurnEnd,
    chosen,
    differences,
    ended_early,
    make_halves,
    of_preset,
)
from cyclegan.study.turns import _Meter
from cyclegan.training.best import Score


def test_a_preset_against_itself_makes_no_difference_and_a_kill_costs_a_part(
    judged_data: Path,
    endless_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = tmp_path / "study"
    places = ["--dataroot", str(judged_data), "--output", str(output)]
    asked = ["study", *2 * [str(endless_preset)], *places]
    asked += ["--seeds", "1", "--checkpoints", "1", "--minutes", "0.02", "--json"]
    study = psutil.Popen([sys.executable, "-m", "cyclegan", *asked])
    while not (output / "runs" / "mine_2-0" / "latest.pt").exists():
        assert study.poll() is None
        time.sleep(0.01)
    trainings = study.children()
    study.kill()
    study.wait()
    assert not psutil.wait_procs(trainings, timeout=600)[1], "no training is left behind"
    measured = json.loads((output / "study.json").read_text())["runs"]
    assert list(measured) == ["mine-0"]
    assert run(asked) == 0
    told = json.loads(capsys.readouterr().out)
    after = json.loads((output / "study.json").read_text())["runs"]
    assert after["mine-0"] == measured["mine-0"]
    assert [one["name"] for one in told["presets"]] == ["mine", "mine_2"]
    assert told["ended_early"] == []
    assert all(run[0]["images"] > 0 and run[0]["seconds"] >= 1.2 for run in after.values())
    (difference,) = told["differences"]
    assert difference["verdict"].startswith("mine and mine_2: no difference")
    assert [Path(page).read_text().count("<img src=") for page in told["pages"]] == [12, 12]
    with pytest.raises(UsageError, match="a study with another minutes: give another --output"):
        run([*asked, "--minutes", "3"])


def test_halves_are_told_apart_by_bytes_and_twins_go_along(
    judged_data: Path, tmp_path: Path
) -> None:
    digest = make_halves(judged_data, tmp_path / "one")
    for domain in "AB":
        names = [{p.name for p in (tmp_path / "one" / half / f"test{domain}").iterdir()}
                 for half in HALVES]  # fmt: skip
        assert not names[0] & names[1]
        assert [len(half) for half in names] == [4, 4]
        folder = tmp_path / "one" / "reporting"
        assert len(list((folder / f"train{domain}").iterdir())) >= 4
    twins = {path.name for path in (folder / "twinsA").iterdir()}
    assert twins == {path.name for path in (folder / "testA").iterdir()}
    before = {path.read_bytes() for path in (folder / "testB").iterdir()}
    for path in sorted((judged_data / "testB").iterdir()):
        path.rename(path.with_name(f"z{9 - int(path.stem)}.png"))
    assert make_halves(judged_data, tmp_path / "one") == digest
    assert {path.read_bytes() for path in (folder / "testB").iterdir()} == before


def checkpoint(choosing: float, reporting: float, error: float = 0.02) -> TurnEnd:
    scores = [
        {way: Score(Kid(0.1, 0.01), Progress(value, error), 0.5) for way in ("AtoB", "BtoA")}
        for value in (choosing, reporting)
    ]
    return TurnEnd(60.0, 100, False, *scores)


def test_a_run_that_came_to_its_last_epoch_before_its_time_is_told() -> None:
    """It was trained for less than the others, whatever the head of the table says."""
    late, early = checkpoint(0.5, 0.5), replace(checkpoint(0.5, 0.5), seconds=120.0, finished=True)
    (line,) = ended_early({"whole": [[late]], "short": [[late], [late, early]]}, 40.0)
    assert line.startswith("short: reached its last epoch after 2 of 40 minutes (100 images)")
    in_time = replace(early, seconds=39.9 * 60)
    assert list(ended_early({"whole": [[in_time]]}, 40.0)) == []


def test_one_half_chooses_and_the_other_reports() -> None:
    seeds = [
        [checkpoint(0.1, 0.2), checkpoint(0.5, 0.3), checkpoint(0.4, 0.6)],
        [checkpoint(0.5, 0.5)],
    ]
    assert chosen(seeds[0], "choosing", 0.3) == 1
    found = of_preset("x", seeds, 0.3)
    assert found.quality.value == pytest.approx(0.4), "0.3 and 0.5"
    assert found.progress["BtoA"].value == pytest.approx(0.4)
    assert found.best_on_test.value == pytest.approx(0.55), "0.6 and 0.5: luck"
    assert found.progress["AtoB"].error == pytest.approx((0.1**2 + 0.02**2) ** 0.5)


def test_presets_differ_where_seeds_and_pictures_are_sure() -> None:
    def verdict(*pairs: tuple[float, float]) -> str:
        runs = {
            name: [[checkpoint(0.0, pair[place])] for pair in pairs]
            for place, name in enumerate(("a", "b"))
        }
        (found,) = differences(runs, 0.3)
        return found.verdict

    assert verdict((0.5, 0.3), (0.4, 0.2), (0.6, 0.4)).startswith("a is better than b by 0.20 ±")
    assert verdict((0.3, 0.5), (0.2, 0.4), (0.4, 0.6)).startswith("b is better than a by 0.20 ±")
    assert "no difference" in verdict((0.5, 0.3), (0.4, 0.5), (0.6, 0.4)), "by seeds"
    assert "no difference" in verdict((0.32, 0.3)), "by pictures"


def test_time_of_children_counts() -> None:
    """Of a process that only waits for one that works."""
    work = "while True: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            meter = _Meter(process.pid)
            parent = psutil.Process(process.pid)
            while not parent.children():
                assert process.poll() is None
            (child,) = parent.children()
            while child.cpu_times().user < 0.5:
                time.sleep(0.01)
            assert meter() >= 0.5
        finally:
            for child in parent.children():
                child.kill()
            process.kill()


def test_the_judge_may_not_train(endless_preset: Path, judged_data: Path, tmp_path: Path) -> None:
    whole = endless_preset.read_text()
    for more, key in (
        ('[losses]\nlambda_style = 1.0\n[perceptual]\nloss_features = "efficientnet-lite0"\n',
         "loss_features"),
        ("", "projection"),
    ):  # fmt: skip
        text = whole + more
        if key == "projection":
            kind = '[discriminator]\nnetD = "projected"\nprojection = "efficientnet-lite0"\n'
            text = whole.replace("[discriminator]\n", kind)
        endless_preset.write_text(text)
        places = ["--dataroot", str(judged_data), "--output", str(tmp_path / "x")]
        with pytest.raises(
            UsageError, match=f"{key} = 'efficientnet-lite0': the evaluation network must not"
        ):
            run(["study", str(endless_preset), *places])
