"""Real servers for tests, and what they are asked."""

import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cyclegan.dashboard import packages
from cyclegan.dashboard.page import PageFolder

SMALL = "/**/"


def small_scripts(folder: Path) -> Path:
    """All files that the page requires, of a few bytes each: see `pin_small_scripts`."""
    for path in PageFolder(folder).scripts.required:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(SMALL)
    return folder


def pin_small_scripts(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let small scripts be the ones that are known, here and in the processes that are started."""
    digest = hashlib.sha256(SMALL.encode()).hexdigest()
    names = [line.split()[1] for line in packages.SUMS.read_text().splitlines()]
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(f"{digest}  {name}\n" for name in names))
    (folder / "sitecustomize.py").write_text(
        "from pathlib import Path\nfrom cyclegan.dashboard import packages\n"
        f"packages.SUMS = Path({str(sums)!r})\n"
    )
    patch.setattr(packages, "SUMS", sums)
    patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


@contextmanager
def start(*args: str, **env: str) -> Iterator[Any]:
    """`cyclegan ARGS` as a process in a session of its own, killed if the test does not end it."""
    with subprocess.Popen(
        [sys.executable, "-m", "cyclegan", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@contextmanager
def dashboard(checkpoints: Path, port: int, *args: str, **env: str) -> Iterator[Any]:
    """`cyclegan dashboard`, from its first line on; ended by SIGTERM if the test did not."""
    flags = ["--checkpoints_dir", str(checkpoints), "--port", str(port)]
    with start("dashboard", *flags, *args, **env) as process:
        line = first_line(process)
        assert line.startswith("dashboard: "), process.communicate()
        yield process
        if process.poll() is None:
            stop(process)


def stop(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """SIGTERM; exit code and what was printed since."""
    process.terminate()
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def ask(
    url: str, data: object = None, headers: dict[str, str] | None = None
) -> tuple[int, str, Any]:
    """Status, text and headers of an answer."""
    body = None if data is None else json.dumps(data).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url, body, headers or {})
        with opener.open(request, timeout=60) as response:
            return response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def send_text(port: int, env: str, text: str) -> None:
    """A window of text, as visdom's client sends it."""
    data = {"data": [{"content": text, "type": "text"}], "win": "w", "eid": env, "opts": {}}
    assert ask(f"http://127.0.0.1:{port}/events", data)[0] == 200


def windows(port: int, env: str) -> dict[str, Any]:
    status, text, _ = ask(f"http://127.0.0.1:{port}/win_data", {"eid": env, "win": None})
    assert status == 200
    found: dict[str, Any] = json.loads(text)
    return found
