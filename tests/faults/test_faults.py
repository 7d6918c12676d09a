"""Some of the faults of the table, each once, and the harness that counts them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import __main__ as harness
from faults.processes import LostError, WrongError
from faults.table import FAULTS
from faults.trial import Fault, Kept, SkippedError, Trial

#: The cheapest of each kind. Not here: what starts torchrun or waits for seconds, and what
#: tests/test_processes.py and tests/test_distributed.py do (kill, term, int, rank-told).
SHORT = [
    *("kill-saving", "kill-start"),
    *("signal-start", "hold", "worker-killed", "shm-small", "disk-full", "read-only", "quota"),
    *("latest-deleted", "latest-flipped", "log-damaged"),
    *("settings-damaged", "image-vanishes", "images-appear", "images-all-go", "clock"),
    *("visdom-refuses", "two-begin", "pictures-kill"),
    *("pictures-disk-full", "pictures-vanishes", "pictures-two", "clip-kill"),
    *("bands-int", "shards-kill", "serve-worker", "serve-model", "serve-half", "serve-many"),
]
BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """What all trials are compared with."""
    made = Kept(tmp_path_factory.mktemp("kept"))
    yield made
    made.close()


@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost(name: str, kept: Kept, tmp_path: Path) -> None:
    result = BY_NAME[name].tried(1, tmp_path / "trial", kept)
    if result.outcome == "skipped":
        pytest.skip(result.why)
    assert (result.outcome, result.why) == ("survived", ""), result.moment


def raising(error: Exception | None) -> Fault:
    def strike(trial: Trial) -> None:
        trial.tell(f"{trial.draw.random():.3f}")
        if error is not None:
            raise error

    name = type(error).__name__.lower()
    return Fault(name, "a fault", "nothing", strike)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Fault]:
    """A table of faults that end in each way."""
    errors = (
        None,
        LostError("a checkpoint"),
        WrongError("an orphan"),
        SkippedError("no root"),
        OSError("odd"),
    )
    made = [raising(error) for error in errors]
    monkeypatch.setattr(harness, "FAULTS", made)
    return made


def test_what_is_lost_is_counted_told_and_made_again(
    rows: list[Fault], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.jsonl"
    assert harness.main(["--trials", "5", "--seed", "7", "--results", str(file)]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == "5 trials: 1 survived, 1 lost, 2 wrong, 1 skipped"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(line["seed"] for line in lines) == [7, 8, 9, 10, 11]
    lost = next(line for line in lines if line["outcome"] == "lost")
    assert f"again: bash scripts/faults.sh --only losterror --seed {lost['seed']}\n" in shown.err
    again = tmp_path / "again.jsonl"
    assert harness.main(
        ["--only", "losterror", "--seed", str(lost["seed"]), "--results", str(again)]
    )
    same = json.loads(again.read_text())
    assert same | {"seconds": 0} == lost | {"seconds": 0}, "the same moment too"


def test_a_run_of_trials_that_was_stopped_goes_on(
    rows: list[Fault], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.jsonl"
    asked = ["--only", "nonetype", "--results", str(file)]
    assert harness.main([*asked, "--trials", "2"]) == 0
    before = file.read_text()
    file.write_text(f'{before}{{"half')
    assert harness.main([*asked, "--trials", "3"]) == 0
    assert file.read_text().startswith(before)
    assert len(file.read_text().splitlines()) == 2 + 1 + 1, "half a line, and the third alone"
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 trials: ")
    file.write_text(before.replace('"commit": "', '"commit": "another'))
    assert harness.main([*asked, "--trials", "2"]) == 0
    assert len(file.read_text().splitlines()) == 4, "of this commit nothing was there"
