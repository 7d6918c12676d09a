"""`cyclegan dashboard` as it is run: a real server in a process of its own."""

import hashlib
import http.server
import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from dashboard.conftest import Silence
from dashboard.serving import ask, dashboard, send_text, start, stop, windows
from tornado.web import HTTPError
from visdom_server import free_port

PASSWORD = "no one should ever read this"


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def refused(*args: str, **env: str) -> str:
    """The one line with which a dashboard does not start."""
    with start("dashboard", *args, **env) as process:
        out, err = process.communicate(timeout=60)
    assert (out, process.returncode in (1, 2)) == ("", True)
    assert err.startswith("cyclegan: error: ")
    assert err.count("\n") == 1
    return err


def test_it_serves_saves_and_shows_again(
    checkpoints: Path, small_assets: Path, cut_off: Silence, tmp_path: Path
) -> None:
    """And nothing is asked of the network, nor written outside the folder."""
    home = tmp_path / "home"
    home.mkdir()
    port = free_port()
    flags = ["--assets", str(small_assets)]
    with dashboard(checkpoints, port, *flags, HOME=str(home)) as process:
        url = f"http://127.0.0.1:{port}"
        assert "plotly-plotly.min.js" in ask(f"{url}/env/main")[1]
        assert ask(f"{url}/static/js/plotly-plotly.min.js")[:2] == (200, "/**/")
        assert ask(f"{url}/user/style.css")[0] == 200
        send_text(port, "first", "what was shown")
        assert ask(f"{url}/env/first")[0] == 200
        assert ask(f"{url}/compare/first+main")[0] == 200
        code, out, err = stop(process)
    assert (code, err) == (0, "")
    assert out == f"dashboard: stopped; what it showed is saved in {checkpoints}/.dashboard\n"
    with dashboard(checkpoints, port, HOME=str(home)):
        assert windows(port, "first")["w"]["content"] == "what was shown"
        assert "plotly-plotly.min.js" in ask(url)[1]
    assert cut_off.visits(of_a_proxy=True) == 0
    assert list(home.iterdir()) == []
    assert {path.name for path in checkpoints.iterdir()} == {".dashboard"}


def test_the_first_line_is_the_address(checkpoints: Path, cut_off: Silence) -> None:
    port = free_port()
    with start("dashboard", "--checkpoints_dir", str(checkpoints), "--port", str(port)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == f"dashboard: http://localhost:{port}  (Ctrl-C stops it)\n"
        process.send_signal(signal.SIGINT)  # at once, before anything is served
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_without_scripts_it_says_so_and_takes_what_is_sent(
    checkpoints: Path, cut_off: Silence
) -> None:
    port = free_port()
    with dashboard(checkpoints, port) as process:
        send_text(port, "first", "kept")
        assert process.stderr.readline().endswith("scripts, only this once\n")
        assert "--assets FOLDER" in process.stderr.readline()
        assert "install npm" in ask(f"http://127.0.0.1:{port}/env/first")[1]
        assert stop(process)[0] == 0
    saved = json.loads((checkpoints / ".dashboard" / "environments" / "first.json").read_text())
    assert saved["jsons"]["w"]["content"] == "kept"


def test_stopped_while_fetching(checkpoints: Path, cut_off: Silence) -> None:
    port = free_port()
    with dashboard(checkpoints, port) as process:
        send_text(port, "first", "kept")
        assert stop(process)[0] == 0
    assert not (checkpoints / ".dashboard" / "fetching").exists()
    assert (checkpoints / ".dashboard" / "environments" / "first.json").exists()


def test_what_nobody_looked_at_stays_as_it_was(
    checkpoints: Path, small_assets: Path, cut_off: Silence
) -> None:
    """Neither when all is saved nor when a client asks for it, which visdom writes as null."""
    folder = checkpoints / ".dashboard" / "environments"
    folder.mkdir(parents=True)
    before = '{"jsons": {}, "reload": {}, "more": 1}'
    (folder / "old.json").write_text(before)
    port = free_port()
    with dashboard(checkpoints, port, "--assets", str(small_assets)) as process:
        assert ask(f"http://127.0.0.1:{port}/save", {"data": ["old"]})[0] == 200
        assert (folder / "old.json").read_text() == before
        assert stop(process)[0] == 0
    assert (folder / "old.json").read_text() == before


def test_environments_are_saved_while_it_runs(
    checkpoints: Path, small_assets: Path, cut_off: Silence
) -> None:
    """Every minute; here faster, and the server is killed after it."""
    port = free_port()
    code = (
        "from cyclegan import cli\nfrom cyclegan.dashboard import server\nserver.SAVING = 0.2\n"
        f"cli.run(['dashboard', '--checkpoints_dir', {str(checkpoints)!r}, '--port', '{port}', "
        f"'--assets', {str(small_assets)!r}])"
    )
    saved = checkpoints / ".dashboard" / "environments" / "first.json"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        send_text(port, "first", "kept")
        deadline = time.monotonic() + 30
        while not saved.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    assert json.loads(saved.read_text())["jsons"]["w"]["content"] == "kept"


def test_what_is_saved(tmp_path: Path) -> None:
    """Only what changed; and a name that is a path writes nowhere else."""
    from cyclegan.dashboard.application import make_application
    from cyclegan.dashboard.page import PageFolder

    app, environments = make_application(tmp_path, 1, PageFolder(tmp_path), None)
    assert app.settings["autoreload"] is False
    app.state["run"] = {"jsons": {"w": 1}, "reload": {}}
    with pytest.raises(HTTPError, match="400"):
        app.state["../outside"] = {"jsons": {}, "reload": {}}
    environments.save()
    path = tmp_path / "environments" / "run.json"
    assert json.loads(path.read_text())["jsons"] == {"w": 1}
    path.write_text("by another server")
    environments.save()
    assert path.read_text() == "by another server"
    app.state["run"]["jsons"]["w"] = 2
    environments.save()
    assert json.loads(path.read_text())["jsons"] == {"w": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["environments"]


def test_a_full_disk_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from cyclegan.dashboard.application import make_application
    from cyclegan.dashboard.page import PageFolder

    _, environments = make_application(tmp_path, 2, PageFolder(tmp_path), None)
    (tmp_path / "saving-2").touch()  # where a folder should be
    environments.save()
    environments.save()
    (record,) = caplog.records
    assert "can't be saved" in record.message


def other_addresses() -> list[str]:
    """This machine's addresses that other machines see."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            found = {str(probe.getsockname()[0])}
        except OSError:
            found = set()
    return [address for address in found if not address.startswith("127.")] or ["127.0.0.2"]


def test_only_this_machine_reaches_it(
    checkpoints: Path, small_assets: Path, cut_off: Silence
) -> None:
    port = free_port()
    with dashboard(checkpoints, port, "--assets", str(small_assets)):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        for address in other_addresses():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), timeout=5)


def test_the_port_has_a_dashboard_already(
    checkpoints: Path, small_assets: Path, cut_off: Silence
) -> None:
    port = free_port()
    with dashboard(checkpoints, port, "--assets", str(small_assets)):
        line = refused("--checkpoints_dir", str(checkpoints), "--port", str(port))
    assert f"a Visdom server is already running at http://localhost:{port}" in line
    assert "--port" in line


def test_the_port_has_another_program(checkpoints: Path, cut_off: Silence) -> None:
    line = refused("--checkpoints_dir", str(checkpoints), "--port", str(cut_off.port))
    assert f"port {cut_off.port} is in use by another program: give another --port" in line
    handler = http.server.BaseHTTPRequestHandler
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        line = refused("--checkpoints_dir", str(checkpoints), "--port", str(web.server_port))
        web.shutdown()
    assert "is in use by another program" in line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "0"], "--port 0"),
        (["--port", "65536"], "--port 65536"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: not an address"),
        (["--host", "0.0.0.0"], "VISDOM_USERNAME and VISDOM_PASSWORD"),
        (["--checkpoints_dir", "/dev/null/x"], "--checkpoints_dir /dev/null/x: can't be written"),
        (["--assets", "nothing"], "--assets nothing: lacks css/bootstrap.min.css"),
        (["--prot", "1"], "perhaps you meant --port"),
    ],
)
def test_mistakes_are_one_line(
    flags: list[str], words: str, checkpoints: Path, cut_off: Silence
) -> None:
    where = [] if "--checkpoints_dir" in flags else ["--checkpoints_dir", str(checkpoints)]
    assert words in refused(*where, *flags)


def test_an_address_that_is_not_this_machines(checkpoints: Path, cut_off: Silence) -> None:
    login = {"VISDOM_USERNAME": "u", "VISDOM_PASSWORD": PASSWORD}
    line = refused("--host", "192.0.2.77", "--checkpoints_dir", str(checkpoints), **login)
    assert "192.0.2.77:8097: can't listen there" in line


@pytest.mark.parametrize("name", ["VISDOM_USERNAME", "VISDOM_PASSWORD"])
def test_half_a_login(name: str, checkpoints: Path, cut_off: Silence) -> None:
    assert "needs both" in refused("--checkpoints_dir", str(checkpoints), **{name: "x"})


def log_in(port: int, password: str) -> str | None:
    """The cookie that the login gives."""
    sent = hashlib.sha256(password.encode()).hexdigest()
    status, _, headers = ask(f"http://127.0.0.1:{port}/", {"username": "me", "password": sent})
    return headers["Set-Cookie"].partition(";")[0] if status == 200 else None


def test_a_login(checkpoints: Path, small_assets: Path, cut_off: Silence) -> None:
    port = free_port()
    login = {"VISDOM_USERNAME": "me", "VISDOM_PASSWORD": PASSWORD}
    flags = ["--host", "0.0.0.0", "--assets", str(small_assets)]
    with dashboard(checkpoints, port, *flags, **login) as process:
        url = f"http://127.0.0.1:{port}"
        assert "Visdom Login" in ask(url)[1]
        assert ask(f"{url}/env/main")[0] in (400, 401)
        assert ask(f"{url}/env_state", {})[0] in (400, 401)
        assert log_in(port, "wrong") is None
        cookie = log_in(port, PASSWORD)
        assert cookie is not None
        assert "plotly" in ask(f"{url}/env/main", headers={"Cookie": cookie})[1]
        assert PASSWORD not in " ".join(psutil.Process(process.pid).cmdline())
        code, out, err = stop(process)
    assert (code, err) == (0, "")
    assert PASSWORD not in out
    files = [path for path in checkpoints.rglob("*") if path.is_file()]
    hashed = hashlib.sha256(PASSWORD.encode()).hexdigest()
    for secret in (PASSWORD, hashed):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
    (kept,) = [path for path in files if path.name == "COOKIE_SECRET"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(kept.read_text()) == 64


def test_what_fetches_is_not_told_the_password(checkpoints: Path, cut_off: Silence) -> None:
    port = free_port()
    login = {"VISDOM_USERNAME": "me", "VISDOM_PASSWORD": PASSWORD}
    with dashboard(checkpoints, port, **login) as process:
        process.stderr.readline()  # fetching
        fetching: list[psutil.Process] = []
        while not fetching:  # before, it is a copy of the server
            assert process.poll() is None
            fetching = [
                child
                for child in psutil.Process(process.pid).children()
                if "cyclegan.download" in child.cmdline()
            ]
        told = fetching[0].environ()
        assert PASSWORD not in "\n".join(told.values())
        assert "PATH" in told


@pytest.mark.parametrize("env", [{}, {"VISDOM_USERNAME": "me", "VISDOM_PASSWORD": PASSWORD}])
def test_training_logs_in(
    env: dict[str, str],
    checkpoints: Path,
    small_assets: Path,
    cut_off: Silence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the same two variables; they do no harm where the server asks for no login."""
    from cyclegan.loggers import LoggerSettings
    from cyclegan.loggers.visdom import connect

    port = free_port()
    with dashboard(checkpoints, port, "--assets", str(small_assets), **env):
        monkeypatch.setenv("VISDOM_USERNAME", "me")
        monkeypatch.setenv("VISDOM_PASSWORD", PASSWORD)
        client = connect(LoggerSettings(display_port=port), "run")
        assert client.text("hello", win="t") == "t"
        assert client.win_exists("t")
