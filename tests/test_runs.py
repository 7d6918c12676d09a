"""`cyclegan runs`: what it says of runs that train, were stopped or killed, or came to an end."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cyclegan import assemble, checkpoint, cli
from cyclegan.atomic import lock
from cyclegan.errors import UserError
from cyclegan.loggers.logger import Record, RunInfo
from cyclegan.loggers.table import LOGGERS, LoggerKind
from cyclegan.run import Position, is_trained, only_trainer
from cyclegan.runs import BestFigure, list_runs, summarize
from cyclegan.settings import Settings

ASKING = """
import pathlib, sys
from cyclegan.run import is_trained
print(is_trained(pathlib.Path(sys.argv[1])))
"""


def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert cli.run(["runs", "--checkpoints_dir", str(folder), "--json"]) == 0
    runs: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return runs


class AskedThenStopped:
    """A logger that has another process list the runs, and then stops its own by a signal."""

    told: tuple[dict[str, Any], ...] = ()

    def __call__(self, settings: object, run_info: RunInfo) -> "AskedThenStopped":
        self.folder = run_info.folder.parent
        return self

    def record(self, record: Record) -> None:
        if record.position.images == 8:
            command = [sys.executable, "-m", "cyclegan", "runs", "--json", "--checkpoints_dir"]
            self.told = tuple(json.loads(subprocess.check_output([*command, self.folder])))
            signal.raise_signal(signal.SIGTERM)

    def step(self, position: Position) -> None: ...
    def pictures(self, position: Position, pictures: object) -> None: ...
    def saved(self, position: Position) -> None: ...
    def close(self) -> None: ...


def test_running_then_stopped(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = AskedThenStopped()
    monkeypatch.setitem(LOGGERS, "asked", LoggerKind(asked))
    longer = replace(tiny_settings.training, n_epochs=9)
    assert assemble.train(replace(tiny_settings, training=longer)) == signal.SIGTERM
    (run,) = asked.told
    assert (run["name"], run["state"], run["images"], run["planned"]) == ("tiny", "running", 8, 60)
    (run,) = told(tiny_settings.run.checkpoints_dir, capsys)
    saved = checkpoint.load(tiny_settings.run.folder / "latest.pt").position
    assert (run["state"], run["images"]) == ("stopped", saved.images)
    assert run["progress"] == saved.images / 60


def test_finished_and_the_newest_first(
    tiny_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name of a display environment is told too: it is where a dashboard shows the run."""
    loggers = replace(tiny_settings.loggers, print_freq=5, display_env="shown")
    assemble.train(replace(tiny_settings, loggers=loggers))
    earlier = tmp_path / "checkpoints" / "earlier"
    earlier.mkdir()
    (earlier / "latest.pt").touch()
    os.utime(earlier, (1, 1))
    (tmp_path / "checkpoints" / ".dashboard").mkdir()
    finished, other = told(tmp_path / "checkpoints", capsys)
    assert finished | {"updated": 0} == {
        "name": "tiny", "state": "finished", "images": 12, "planned": 12, "progress": 1.0,
        "best": None, "display_env": "shown", "updated": 0,
    }  # fmt: skip
    assert (other["name"], other["state"], other["progress"]) == ("earlier", "stopped", None)
    # Trained by a version that did not note it.
    run_info = tmp_path / "checkpoints/tiny/journey.json"
    table = json.loads(run_info.read_text())
    run_info.write_text(
        json.dumps({k: table[k] for k in table if k not in ("reached", "finished")})
    )
    old = summarize(tmp_path / "checkpoints/tiny")
    assert (old.state, old.images) == ("finished", 12)


def test_a_run_that_goes_on_is_not_finished_any_more(tiny_settings: Settings) -> None:
    assemble.train(tiny_settings)
    folder = tiny_settings.run.folder
    longer = replace(tiny_settings, training=replace(tiny_settings.training, n_epochs=9))
    with pytest.raises(UserError):  # by a device that is not there, after the run began
        assemble.train(replace(longer, run=replace(longer.run, device="gpu7")))
    assert summarize(folder).state == "finished"
    with only_trainer(folder):
        told = subprocess.run(
            [sys.executable, "-c", ASKING, folder], capture_output=True, text=True
        )
        assert told.stdout == "True\n"
    assert not is_trained(folder)


TRAINING = """
import os, pathlib, signal, sys
from cyclegan.run import only_trainer
with only_trainer(pathlib.Path(sys.argv[1])):
    loading = os.fork()
    if loading:
        print(loading, flush=True)
    signal.pause()
"""


def test_a_killed_trainer_lets_go_of_its_run_though_its_loading_processes_live(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", TRAINING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        loading = int(process.stdout.readline())
        try:
            assert is_trained(tmp_path)
            with (
                pytest.raises(UserError, match="another process is training this run"),
                only_trainer(tmp_path),
            ):
                pass
            process.kill()
            process.wait()
            assert psutil.pid_exists(loading)
            assert not is_trained(tmp_path)
            with only_trainer(tmp_path):
                assert is_trained(tmp_path)
        finally:
            os.kill(loading, signal.SIGKILL)


def test_whoever_lists_runs_refuses_no_trainer(tmp_path: Path) -> None:
    """Asking holds the lock for a moment."""
    file = (tmp_path / ".lock").open("w+b")
    assert lock(file, shared=True)
    threading.Timer(0.1, file.close).start()
    with only_trainer(tmp_path):
        assert file.closed


def log(folder: Path, *records: dict[str, float]) -> Path:
    folder.mkdir(parents=True)
    (folder / "settings.toml").touch()
    lines = [json.dumps({"epoch": 1, **record}) + "\n" for record in records]
    (folder / "losses.jsonl").write_text("".join(lines))
    return folder


@pytest.mark.parametrize(
    ("name", "told"), [("quality_best", "progress 0.250 at 200"), ("kid_best", "KID 0.250 at 200")]
)
def test_the_best_figure_is_where_it_was_measured_first(
    tmp_path: Path, name: str, told: str
) -> None:
    folder = log(
        tmp_path / "run",
        {"images": 100, name: 0.5},
        {"images": 200, name: 0.25},
        {"images": 300, "cycle_a_to_b": 1.0},
        {"images": 400, name: 0.25},
        {"images": 500, "cycle_a_to_b": 1.0},
    )
    with (folder / "losses.jsonl").open("a") as file:
        file.write('{"epoch": 1, "images": 600, "kid_b')  # killed while it was written
    run = summarize(folder)
    assert (run.images, run.best) == (500, BestFigure(0.25, 200, told.split()[0]))
    (folder / "journey.json").write_text("{")
    assert summarize(folder).cells == ("run", "stopped", "500", "not known", told)


def on_a_terminal(columns: int, args: Sequence[str]) -> list[str]:
    """The lines that a command shows on a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "cyclegan", *args]
    with subprocess.Popen(command, stdout=theirs, env={**env, "TERM": "xterm"}) as process:
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # a terminal's end
            pass
    os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()


@pytest.mark.parametrize("columns", [100, 60])
def test_on_a_terminal_names_are_whole(columns: int, tmp_path: Path) -> None:
    name = "photo2vangogh_identity05_[seed_3]"
    log(tmp_path / name, {"images": 1_234_567, "kid_best": 0.0123})
    heading, *lines = on_a_terminal(columns, ["runs", "--checkpoints_dir", str(tmp_path)])
    assert heading.split() == ["run", "state", "images", "seen", "progress", "best", "figure"]
    assert max(map(len, lines)) <= columns
    width = heading.index("state")
    assert "".join(line[:width].strip() for line in lines) == name
    assert "1,234,567" in lines[0]


def test_in_a_file_a_run_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log(tmp_path / ("n" * 200), {"images": 5})
    assert cli.run(["runs", "--checkpoints_dir", str(tmp_path)]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.split() == ["n" * 200, "stopped", "5", "not", "known", "none", "yet"]


def test_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_runs(tmp_path) == []
    assert told(tmp_path, capsys) == []
    assert cli.run(["runs", "--checkpoints_dir", str(tmp_path)]) == 0
    assert "no runs yet (cyclegan train starts one)" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--checkpoints_dir .*none: no such folder"):
        cli.run(["runs", "--checkpoints_dir", str(tmp_path / "none")])
