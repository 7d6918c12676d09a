"""The shell scripts: valid, and clear about what is missing."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_and_thin(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert len(path.read_text().splitlines()) <= 60


def copy_of_checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for path in (ROOT / "scripts").iterdir():
        (tmp_path / "scripts" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "setup.cfg").write_bytes((ROOT / "setup.cfg").read_bytes())
    return tmp_path


@pytest.mark.parametrize("script", ["demo.sh", "test.sh"])
def test_no_python_is_one_line(script: str, tmp_path: Path) -> None:
    root = copy_of_checkout(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "basename", "cksum", "cat"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # a Python that is too old
    (tools / "python3").chmod(0o755)
    command = ["/bin/bash", str(root / "scripts" / script)]
    result = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tools)})
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "needs Python 3.11 or newer" in result.stderr
    assert not (root / ".venv").exists()


def test_no_network_is_one_line(tmp_path: Path) -> None:
    root = copy_of_checkout(tmp_path)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_FIND_LINKS": "",
               "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}  # fmt: skip
    command = ["bash", str(root / "scripts" / "demo.sh")]
    env = {**os.environ, **nowhere}
    result = subprocess.run(command, capture_output=True, text=True, env=env)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "can't reach the package index" in result.stderr
