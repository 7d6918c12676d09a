"""The shell scripts: valid, and clear about what is missing."""

import json
import os
import re
import subprocess
import sys
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


STAND_IN = """#!/bin/sh
echo "$@" >>{calls}
exit {code}
"""


def gpu(tmp_path: Path, *flags: str, code: int = 0) -> tuple[int, list[str], str]:
    """The script's exit code, what it called a stand-in of Python with, and its last line."""
    python, calls = tmp_path / "python", tmp_path / "calls"
    python.write_text(STAND_IN.format(calls=calls, code=code))
    python.chmod(0o755)
    command = ["bash", str(ROOT / "scripts/gpu.sh"), "--python", str(python), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    called = calls.read_text().splitlines() if calls.exists() else []
    return done.returncode, called, (done.stdout + done.stderr).splitlines()[-1]


def test_a_gpu_is_tested_then_measured_in_the_time_there_is(tmp_path: Path) -> None:
    into = str(tmp_path / "gpu.json")
    code, (*tests, measures), last = gpu(tmp_path, "--into", into, "--seconds", "300")
    assert code == 0
    assert all(call.startswith("-m pytest") for call in tests)
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/gpu").glob("test_*.py")}
    assert {call.split()[-1] for call in tests} == files, "each in a process of its own"
    assert measures.startswith("-m cyclegan benchmark device --device cuda")
    for call, share in *((call, 0.4) for call in tests), (measures, 1):
        assert f"--into {into}" in call
        assert 280 * share <= int(re.search(r"--seconds (\d+)", call)[1]) <= 300 * share
    assert last == f"figures: {into}"


def test_parts_go_to_whom_they_belong(tmp_path: Path) -> None:
    flags = ["--into", str(tmp_path / "gpu.json"), "--device", "cpu", "--tiny"]
    _, called, _ = gpu(tmp_path, *flags, "--only", "golden,steps,waiting")
    tested = sorted(call.split()[-1] for call in called[:2])
    assert tested == ["tests/gpu/test_golden.py", "tests/gpu/test_waiting.py"]
    assert "--only steps, " in called[2] and called[2].endswith("--tiny")
    assert len(gpu(tmp_path, *flags, "--only", "resume")[1]) == 4
    assert len(gpu(tmp_path, *flags, "--only", "steps")[1]) == 5


def test_what_fails_is_measured_all_the_same(tmp_path: Path) -> None:
    code, called, _ = gpu(tmp_path, "--into", str(tmp_path / "gpu.json"), code=1)
    assert code == 1
    assert called[-1].startswith("-m cyclegan benchmark device")


def test_flags_that_it_does_not_know_are_one_line(tmp_path: Path) -> None:
    assert gpu(tmp_path, "--second", "5") == (
        1, [], "gpu.sh: --second: no such flag; there are --seconds, --only, --device, --tiny, "
        "--into and --python",
    )  # fmt: skip
    assert gpu(tmp_path, "--only")[2] == "gpu.sh: --only: needs a value"


@pytest.mark.parametrize(("code", "calls"), [(0, 1), (1, 1), (143, 2)])
def test_a_task_of_slurm_converts_its_shard_and_comes_again_after_its_time(
    code: int, calls: int, tmp_path: Path
) -> None:
    told = tmp_path / "calls"
    for name, end in {"srun": code, "scontrol": 0}.items():
        (tmp_path / name).write_text(STAND_IN.format(calls=told, code=end))
        (tmp_path / name).chmod(0o755)
    task = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
    command = ["bash", str(ROOT / "scripts/slurm_convert.sh"), "vangogh", "in put", "out", "--also"]
    env = {**os.environ, **task, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run([*command, "cycled"], env=env).returncode == code
    flags = "--shard auto --name vangogh --input in put --output out --also cycled"
    assert told.read_text().splitlines() == [f"cyclegan convert {flags}", "requeue 12_3"][:calls]
    done = subprocess.run(command[:4], env=env, capture_output=True, text=True)
    assert "usage: sbatch" in done.stderr


def audited(tmp_path: Path, answer: str) -> subprocess.CompletedProcess[str]:
    """Run the audit with a stand-in for pip-audit: advisories can't be had everywhere."""
    (tmp_path / "pip_audit").mkdir()
    (tmp_path / "pip_audit" / "__init__.py").touch()
    (tmp_path / "pip_audit" / "__main__.py").write_text(answer)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / "scripts" / "audit.py")]
    return subprocess.run(command, capture_output=True, text=True, env=env)


def test_an_advisory_ends_the_audit_with_1(tmp_path: Path) -> None:
    known = {"name": "one", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
    sound, unknown = {"name": "two", "vulns": []}, {"name": "three", "skip_reason": "not found"}
    found = json.dumps({"dependencies": [known, sound, unknown]})
    done = audited(tmp_path, f"print({found!r})")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "one 1.0: PYSEC-1, fixed in ['1.1']",
        "pip-audit: 2 of 3 packages looked up, 1 advisories",
        "pip-audit: three: not looked up (no network?)",
    ]


def test_an_audit_without_a_network_says_so(tmp_path: Path) -> None:
    done = audited(tmp_path, "import sys; sys.exit('no route to host')")
    assert done.returncode == 0
    assert done.stdout == "pip-audit: no package was looked up (no route to host)\n"
