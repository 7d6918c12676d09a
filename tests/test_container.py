"""The Containerfile as it reads, and the command where one folder alone can be written to."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "scripts" / "Containerfile").read_text()
STEPS = [
    line.split(" ", 1) for line in TEXT.replace("\\\n", " ").splitlines() if line[:1].isalpha()
]


def steps(kind: str) -> list[str]:
    return [rest for name, rest in STEPS if name == kind]


def environment() -> dict[str, str]:
    """What the image sets for the command."""
    return dict(pair.split("=", 1) for line in steps("ENV") for pair in line.split())


def test_the_base_is_an_argument_and_signals_reach_the_command() -> None:
    assert STEPS[0][0] == "ARG" and STEPS[0][1].startswith("BASE=")
    assert steps("FROM") == ["${BASE}"]
    assert json.loads(steps("ENTRYPOINT")[0]) == ["/opt/cyclegan/.venv/bin/cyclegan"]
    assert STEPS[-1][0] == "CMD" and isinstance(json.loads(STEPS[-1][1]), list)
    user, group = steps("USER")[0].split(":")
    assert int(user) > 0 and int(group) > 0, "numbers: runAsNonRoot can't judge names"
    assert environment()["HOME"] == steps("WORKDIR")[-1], "what is relative goes there, too"


def test_what_is_copied_suffices_for_what_is_run(tmp_path: Path) -> None:
    """In a copy of just that, whose environment is there already: packages can't be had here."""
    for line in steps("COPY"):
        *sources, target = line.split()
        for source in sources:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            options = {"symlinks": True} if (ROOT / source).is_dir() else {}
            copy(ROOT / source, tmp_path / target, **options)
    assert (tmp_path / "cyclegan" / "options" / "small.toml").is_file()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("cyclegan", "python"):
        called = tmp_path / ".venv" / "bin" / name
        called.write_text('#!/bin/sh\necho "$0 $@" >>"$(dirname "$0")/../calls"\n')
        called.chmod(0o755)
    extras = dict(line.split("=", 1) for line in steps("ARG"))["EXTRAS"]
    known = (ROOT / "setup.cfg").read_text()
    assert all(f"\n{extra} =\n" in known for extra in extras.split(","))
    for line in steps("RUN"):
        done = subprocess.run(
            json.loads(line), cwd=tmp_path, env={"PATH": os.environ["PATH"], "EXTRAS": extras}
        )
        assert done.returncode == 0
    calls = (tmp_path / ".venv" / "calls").read_text().splitlines()
    assert calls[-1].endswith(f"--editable .[{extras}]")
    assert (tmp_path / ".venv" / f"installed-{extras}").is_file()


#: As a user without a name, who may still mount.
ALONE = ["unshare", "--map-user=54321", "--map-group=54321", "--keep-caps", "--mount"]
#: Makes all of the disk read-only but one folder, for the command alone.
CLOSED = """
mount --bind "$1" "$1" && mount -o remount,bind,ro / || exit 99
if touch "$2/written" 2>/dev/null; then exit 98; fi
cd "$1" && shift 2 && exec "$@"
"""


def test_the_command_needs_one_writable_folder_and_ends_as_documented(
    tiny_flags: list[str], dataroot: Path, tmp_path: Path
) -> None:
    """By the environment of the image, as a process that signals reach directly."""
    data = tmp_path / "data"  # the pictures are in it
    env = {name: value.replace("/data", str(data)) for name, value in environment().items()}
    env |= {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    closed = [*ALONE, "sh", "-c", CLOSED, "sh", data, tmp_path]

    if subprocess.run([*closed, "true"]).returncode in (1, 99):
        pytest.skip("no file system of one's own: needs unshare, and the right to it")

    def start(*args: str | Path) -> subprocess.Popen[str]:
        command = [*map(str, closed), sys.executable, "-m", "cyclegan", *map(str, args)]
        return subprocess.Popen(command, env=env, text=True, stderr=subprocess.PIPE)

    flags = [*tiny_flags, "--checkpoints_dir", "checkpoints", "--cache", "disk"]
    training = start("train", *flags, "--n_epochs", "100000")
    while not (data / "checkpoints" / "tiny" / "latest.pt").exists():
        assert training.poll() is None, training.communicate()[1]
        time.sleep(0.01)
    training.send_signal(signal.SIGTERM)
    assert (training.communicate()[1].count("Read-only"), training.returncode) == (0, 143)
    assert (data / ".cache" / "cyclegan" / "images").is_dir(), "XDG_CACHE_HOME"
    photos = ["--input", dataroot / "testA", "--output", "out"]
    converting = start("convert", "--name", "tiny", *photos)
    assert converting.wait() == 0, converting.communicate()[1]
    assert len(list((data / "out").glob("*.png"))) == 3
    assert start("train", "--no_such_flag").wait() == 2


def test_the_documented_exit_codes_are_those_of_the_command() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text()
    rows = re.findall(r"^\| (\d+)(?:, or `--stop_exit_code N`)? \|", text, re.MULTILINE)
    assert rows == ["0", "1", "2", "130", "143"]
