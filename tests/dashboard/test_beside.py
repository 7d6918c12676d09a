"""`cyclegan train --dashboard`: real trainings with a real server beside them."""

import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import smooth_image
from dashboard.conftest import Silence
from dashboard.serving import ask, dashboard, first_line, start, windows
from visdom_server import free_port

from cyclegan import cli
from cyclegan.dashboard.page import PageFolder
from cyclegan.errors import UsageError, UserError


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def flags(tiny_flags: list[str], port: int, dataroot: Path) -> list[str]:
    """A training that sends to a dashboard of its own, and has nothing to complain of."""
    (dataroot / "testB").mkdir()
    smooth_image(150).save(dataroot / "testB" / "0.png")
    sending = [flag for flag in tiny_flags if flag != "--no_visdom"]
    return ["train", *sending, "--dashboard", "--display_port", str(port)]


@pytest.fixture
def folder(tmp_path: Path, small_assets: Path, cut_off: Silence) -> Path:
    """The dashboard's folder of these trainings, with scripts in it: nothing is fetched."""
    folder = tmp_path / "checkpoints" / ".dashboard"
    PageFolder(folder).scripts.copy(small_assets)
    return folder


def is_gone(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_run_is_shown_and_kept(flags: list[str], folder: Path, port: int) -> None:
    with start(*flags) as process:
        assert first_line(process) == f"dashboard: http://localhost:{port}/env/tiny\n"
        status, text, _ = ask(f"http://localhost:{port}/env/tiny")  # as early as anyone can
        assert status == 200
        assert "ACTIVE_ENV = 'tiny'" in text or "getActiveEnvFromPath" in text
        last = next(line for line in process.stdout if line.startswith("dashboard: stopped"))
        assert is_gone(port)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "", "")
    where = f"--checkpoints_dir {folder.parent} --port {port}"
    assert last == f"dashboard: stopped; reopen it with: cyclegan dashboard {where}\n"
    saved = json.loads((folder / "environments" / "tiny.json").read_text())["jsons"]
    curve = saved["cycle"]["content"]["data"][0]
    assert len(curve["y"]) == 12  # 6 images, 2 epochs, every image
    with dashboard(folder.parent, port):
        assert windows(port, "tiny").keys() == saved.keys()


def test_the_address_comes_before_torch(flags: list[str], folder: Path) -> None:
    code = (
        "import sys, cyclegan.cli as cli\n"
        "say = sys.stdout.write\n"
        "def write(text):\n"
        "    say(('late ' if 'torch' in sys.modules else 'early ') + text)\n"
        "sys.stdout.write = write\n"
        f"cli.run({flags!r})\n"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("early dashboard: http")


def test_going_on_with_a_run(flags: list[str], folder: Path, port: int) -> None:
    where = ["--name", "tiny", "--checkpoints_dir", str(folder.parent), "--display_port", str(port)]
    with start(*flags) as process:
        assert process.wait(timeout=120) == 0
    more = ["--continue_train", "--n_epochs", "2", "--dashboard"]
    with start("train", *where, *more) as process:
        assert first_line(process) == f"dashboard: http://localhost:{port}/env/tiny\n"
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "dashboard: stopped" in out
    saved = json.loads((folder / "environments" / "tiny.json").read_text())["jsons"]
    assert len(saved["cycle"]["content"]["data"][0]["y"]) == 18
    assert is_gone(port)


def test_a_server_that_answers_is_left_alone(flags: list[str], folder: Path, port: int) -> None:
    with dashboard(folder.parent, port) as server:
        with start(*flags) as process:
            assert first_line(process) == (
                f"dashboard: http://localhost:{port}/env/tiny  (a server that is already running)\n"
            )
            out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert "dashboard: stopped" not in out
        assert server.poll() is None
        assert "cycle" in windows(port, "tiny")


def test_without_the_flag_a_server_that_answers_is_named_too(
    flags: list[str], folder: Path, port: int
) -> None:
    """By the run's own page, which says so until something is sent; also when a run goes on."""
    where = ["--name", "tiny", "--checkpoints_dir", str(folder.parent), "--display_port", str(port)]
    url = f"http://localhost:{port}/env/tiny"
    with dashboard(folder.parent, port):
        assert ask(f"http://localhost:{port}")[0] == 200  # it listens before it answers
        for words in (flags[1:], [*where, "--continue_train"]):
            with start("train", *(word for word in words if word != "--dashboard")) as process:
                assert first_line(process) == f"dashboard: {url}\n"
                assert "tiny" in ask(url)[1]
                process.terminate()
                process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_saves_first(
    number: signal.Signals, flags: list[str], folder: Path, port: int
) -> None:
    with start(*flags, "--n_epochs", "5000") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if " 8/" in line:
                break
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "dashboard: stopped" in out
    assert "training continues" not in err  # the server was there to the end
    assert is_gone(port)
    shown = json.loads((folder / "environments" / "tiny.json").read_text())["jsons"]
    images = shown["cycle"]["content"]["data"][0]["x"]
    assert images[-1] >= 8


def test_a_killed_trainer_takes_the_server_with_it(
    flags: list[str], folder: Path, port: int
) -> None:
    with start(*flags, "--n_epochs", "5000") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if " 8/" in line:
                break
        process.kill()
        process.communicate(timeout=60)  # ends when the server has let go of the pipes too
    for _ in range(100):
        if is_gone(port):
            break
        time.sleep(0.1)
    assert is_gone(port)
    assert (folder / "environments" / "tiny.json").exists()


def test_scripts_are_fetched_while_it_trains(
    flags: list[str], tmp_path: Path, cut_off: Silence, port: int
) -> None:
    """No source answers here: the run is over before that is known, or is told so."""
    with start(*flags) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err.startswith("dashboard: downloading the page's scripts, only this once\n")
    saved = tmp_path / "checkpoints" / ".dashboard" / "environments" / "tiny.json"
    assert "cycle" in json.loads(saved.read_text())["jsons"]


def test_another_program_at_the_port(flags: list[str], folder: Path, tmp_path: Path) -> None:
    handler = http.server.BaseHTTPRequestHandler
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        with pytest.raises(UserError, match=r"is not a Visdom server: give another --display_port"):
            cli.run([*flags, "--display_port", str(web.server_port)])
        web.shutdown()
    assert not (tmp_path / "checkpoints" / "tiny").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--display_server", "http://no.such.host.invalid"], "--display_server http://no.such"),
        (["--display_server", "https://localhost"], "http://localhost only"),
        (["--display_port", "65536"], "--display_port 65536: the highest port is"),
        (["--no_visdom"], "can't be combined with --no_visdom"),
    ],
)
def test_what_can_not_be_shown(
    more: list[str], words: str, flags: list[str], folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        cli.run([*flags, *more])
    assert not (tmp_path / "checkpoints" / "tiny").exists()


def test_a_run_that_fails_leaves_no_server(flags: list[str], folder: Path, port: int) -> None:
    with start(*flags, "--device", "gpu7") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--device gpu7" in err
    assert is_gone(port)
