"""Whom the dashboard answers, and what it takes: asked over HTTP as no browser would."""

import asyncio
import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
from dashboard.conftest import Silence
from dashboard.serving import ask, dashboard, pin_small_scripts, small_scripts, start, windows
from visdom_server import free_port

from cyclegan.dashboard import login
from cyclegan.dashboard.application import PlainNames
from cyclegan.dashboard.guard import Origins
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.visdom import UnwelcomeError, connect

LOGIN = {"VISDOM_USERNAME": "me", "VISDOM_PASSWORD": "secret"}
PATHS = ("../up", "/tmp/up", "a/../../up", "..", "..\\up", "up\n", "\0", "", "x" * 300)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a dashboard that takes a megabyte, and that a proxy makes known as boards.example."""
    folder = tmp_path_factory.mktemp("guarded")
    port = free_port()
    flags = ["--assets", str(small_scripts(folder / "assets"))]
    flags += ["--hosts", "boards.example", "--max_megabytes", "1"]
    with pytest.MonkeyPatch.context() as patch:
        pin_small_scripts(patch, folder)
        with dashboard(folder, port, *flags):
            yield port


def environments(port: int) -> set[str]:
    return set(json.loads(ask(f"http://127.0.0.1:{port}/env_state", {})[1]))


def post(port: int, path: str, data: object, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(f"http://127.0.0.1:{port}/{path}", data, named)[0]


def test_only_known_hosts_are_answered(port: int) -> None:
    own = f"localhost:{port}"
    for host in (own, own.upper(), f"[::1]:{port}", "boards.example"):
        assert post(port, "env_state", {}, Host=host) == 200
    for host in ("evil.example", f"evil.example:{port}", "10.1.1.1", f"evil@{own}", "localhost.x"):
        assert post(port, "env_state", {}, Host=host) == 400
    _, text, _ = ask(f"http://127.0.0.1:{port}/", headers={"Host": "evil.example"})
    assert json.loads(text)["detail"].endswith("allow it with cyclegan dashboard --hosts")


@pytest.mark.parametrize("path", ["events", "delete_env", "win_data", "env_state", "env/x"])
def test_only_its_own_pages_send(port: int, path: str) -> None:
    foreign = ("null", "http://evil.example", f"http://localhost:{port + 1}", "http://localhost")
    for origin in foreign:
        assert post(port, path, {}, Origin=origin) == 403
    assert post(port, path, {}, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 403
    assert post(port, path, {}, Content_Type="text/plain;charset=UTF-8") == 415
    assert post(port, path, {}, Origin=f"http://127.0.0.1:{port}", Host="evil.example") == 400


def test_its_own_pages_and_programs_do(port: int) -> None:
    assert post(port, "env_state", {}, Origin=f"http://127.0.0.1:{port}") == 200
    assert post(port, "env_state", {}, Origin="https://boards.example") == 200
    assert post(port, "env_state", {}, Sec_Fetch_Site="same-origin") == 200
    assert post(port, "env_state", {}) == 200


def test_links_are_followed_and_nothing_is_embedded(port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert ask(url, headers={**foreign, "Sec-Fetch-Mode": "navigate"})[0] == 200
    assert ask(f"{url}socket_wrap", headers={**foreign, "Sec-Fetch-Mode": "no-cors"})[0] == 403
    for path in ("", "static/js/main.js", "static/none", "env/none", "user/style.css"):
        headers = ask(url + path)[2]
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["socket", "vis_socket"])
def test_sockets_of_other_origins(port: int, path: str) -> None:
    url = f"ws://127.0.0.1:{port}/{path}"
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(url, origin="http://evil.example")
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        websocket.create_connection(url, host="evil.example")
    websocket.create_connection(url).close()


@pytest.mark.parametrize("name", PATHS)
def test_names_that_are_paths(port: int, name: str) -> None:
    """In every handler: nothing is made, and what lies outside is not deleted."""
    text = {"eid": name, "win": "w", "opts": {}, "data": [{"type": "text", "content": "x"}]}
    for path, data in {
        "events": text,
        "update": {**text, "append": True},
        "win_data": {"eid": name, "win": None, "data": "{}"},
        "delete_env": {"eid": name},
        "fork_env": {"prev_eid": "main", "eid": name},
        "save": {"data": [name]},
        "env/main": {"eid": name},
        "close": {"eid": name},
        "win_exists": {"eid": name, "win": "w"},
    }.items():
        assert post(port, path, data) == 400, path
    assert {"main"} <= environments(port) <= {"main", "run"}


@pytest.mark.parametrize("by", ["post", "socket"])
def test_an_environment_without_a_file_can_be_deleted(port: int, tmp_path: Path, by: str) -> None:
    """As one has none that was made a moment ago."""
    (folder,) = tmp_path.parent.glob("guarded?/.dashboard/environments")
    text = {"win": "w", "opts": {}, "data": [{"type": "text", "content": "x"}]}
    assert post(port, "events", {"eid": "fresh", **text}) == 200
    assert post(port, "save", {"data": ["fresh"]}) == 200
    (folder / "fresh.json").unlink()
    if by == "post":
        assert post(port, "delete_env", {"eid": "fresh"}) == 200
    else:
        page = websocket.create_connection(f"ws://127.0.0.1:{port}/socket", timeout=20)
        page.send(json.dumps({"cmd": "delete_env", "eid": "fresh"}))
        while "env_update" not in (told := page.recv()) or "fresh" in told:
            assert told, "hung up on"
    assert "fresh" not in environments(port)
    assert not (folder / "fresh.json").exists()


def test_names_that_are_paths_in_sockets(port: int, tmp_path: Path) -> None:
    victim = tmp_path / "victim.json"
    victim.write_text("{}")
    name = str(victim.with_suffix(""))
    for command in (
        {"cmd": "delete_env", "eid": name},
        {"cmd": "save", "data": {}, "prev_eid": "main", "eid": f"..{name}"},
        {"cmd": "layout_item_update", "eid": name, "win": "w", "data": 1},
    ):
        page = websocket.create_connection(f"ws://127.0.0.1:{port}/socket", timeout=20)
        page.send(json.dumps(command))
        with pytest.raises((websocket.WebSocketException, ConnectionError)):
            while page.recv() != "":  # until it is hung up on
                pass
            raise websocket.WebSocketConnectionClosedException
    assert victim.read_text() == "{}"


def test_files_with_other_names_are_not_loaded() -> None:
    names = {"run": 1, "../run": 2, "a\\b": 3, "my run (2), Ü": 4}
    assert list(PlainNames(names, Path())) == ["run", "my run (2), Ü"]


def test_large_bodies(port: int) -> None:
    """Are refused in a line where they say how large they are, and cut off where they don't."""
    url = f"http://127.0.0.1:{port}/win_data"
    for size in (1_000_001, 3_900_000):
        answer = requests.post(url, b"x" * size)
        assert (answer.status_code, answer.json()["detail"]) == (
            413,
            "larger than the 1,000,000 bytes allowed",
        )
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(
            b"POST /win_data HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert raw.recv(99).startswith(b"HTTP/1.1 413")
    with pytest.raises((requests.RequestException, AssertionError)):
        assert requests.post(url, iter([b"x" * 600_000] * 3)).status_code != 400


def test_a_training_is_told_what_is_wrong(port: int) -> None:
    client = connect(LoggerSettings(display_port=port), "run")
    text = "<div style='padding:8px'><table><tr><td>a &lt; b</td></tr></table></div>"
    assert client.text(text, win="t") == "t"
    assert windows(port, "run")["t"]["content"] == text
    with pytest.raises(UnwelcomeError, match="larger than the 1,000,000 bytes"):
        client.text("x" * 1_100_000, win="t")


def test_a_server_that_others_reach_is_known_by_its_addresses() -> None:
    others = Origins.of("0.0.0.0", ["Boards.example", "localhost"])
    assert all(map(others.is_known, ("10.1.1.1:8097", "[fe80::1]", socket.gethostname())))
    assert others.is_known("boards.EXAMPLE")
    assert not others.is_known("evil.example")
    assert others.is_own("https://boards.example", "10.1.1.1")
    assert not others.is_own("http://localhost:1", "localhost:2")


def logged_in(port: int, password: str) -> Any:
    sent = hashlib.sha256(password.encode()).hexdigest()
    return ask(f"http://127.0.0.1:{port}/", {"username": "me", "password": sent})


def test_the_cookie_is_for_the_page_only(tmp_path: Path, small_assets: Path) -> None:
    """And whoever has none can send a login, and no more."""
    port = free_port()
    with dashboard(tmp_path, port, "--assets", str(small_assets), **LOGIN):
        cookie = logged_in(port, "secret")[2]["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
        own = cookie.partition(";")[0]
        large = {"eid": "main", "win": None, "more": "x" * 20_000}
        assert post(port, "win_data", large) == 413
        assert post(port, "win_data", large, Cookie=own[:-2] + 'x"') == 413
        assert post(port, "win_data", large, Cookie=own) == 200
        assert post(port, "", {"username": 1}) == post(port, "", ["me"]) == 400


def test_wrong_logins_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer and longer, each in its turn, the right one too; others don't wait for them."""
    waited: list[float] = []
    yielding = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await yielding(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    logins = login.Logins(("me", "secret"))
    right = json.dumps({"username": "me", "password": hashlib.sha256(b"secret").hexdigest()})

    async def tries() -> list[int]:
        wrong = [await logins.status("2001:db8::1", body) for body in [b"{}"] * 6]
        last = [await logins.status(f"2001:db8::{i}", right.encode()) for i in (2, 3)]
        other = await logins.status("2001:db8:0:1::1", right.encode())
        crowd = await asyncio.gather(*(logins.status("10.0.0.1", b"") for _ in range(8)))
        return [*wrong, *last, other, crowd.count(429)]

    assert asyncio.run(tries()) == [*[400] * 6, 200, 200, 200, 3]
    assert waited[:9] == [0, 0.5, 1, 2, 4, 4, 4, 0, 0]


def test_an_environment_that_is_a_path(tiny_flags: list[str], cut_off: Silence) -> None:
    with start("train", *tiny_flags, "--display_env", "../x") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "cyclegan: error: --display_env '../x': must be a plain name without a path\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a dashboard that waits a second for what a client has to say."""
    folder = tmp_path_factory.mktemp("impatient")
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        pin_small_scripts(patch, folder)
        with (folder / "sitecustomize.py").open("a") as file:
            file.write("from cyclegan.dashboard import server\nserver.IDLE = 1.0\n")
        with dashboard(folder, port, "--assets", str(small_scripts(folder / "assets"))):
            yield port


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_who_says_half_a_request_is_hung_up_on(head: bytes, impatient: int) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=30) as line:
        line.sendall(head)
        assert line.recv(1) == b""


def test_a_byte_now_and_then_is_no_request(impatient: int) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=0.1) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(300):
            try:
                assert line.recv(1) == b""
            except TimeoutError:
                line.sendall(b"x")
            except ConnectionError:
                break
            else:
                break
        else:
            pytest.fail("still listened to")
    assert environments(impatient) == {"main"}
