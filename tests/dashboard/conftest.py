"""The page's scripts, fetched once; a network that has neither unpkg.com nor npm."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import lacking
from dashboard.serving import pin_small_scripts, small_scripts

from cyclegan.dashboard.page import PageFolder


@pytest.fixture(scope="session")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real scripts, by whichever source this machine reaches."""
    folder = tmp_path_factory.mktemp("dashboard")
    page = PageFolder(folder)
    page.prepare()
    if not asyncio.run(page.complete()):
        lacking("neither unpkg.com nor npm's registry is reached")
    return page.folder


@pytest.fixture
def small_pins(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small scripts are the ones that are known by their digests."""
    pin_small_scripts(monkeypatch, tmp_path_factory.mktemp("pins"))


@pytest.fixture
def small_assets(tmp_path: Path, small_pins: None) -> Path:
    """A complete folder whose scripts do nothing: enough for a server that no browser visits."""
    return small_scripts(tmp_path / "assets")


def _is_asked_of_a_proxy(line: socket.socket) -> bool:
    try:
        first = line.recv(1000).partition(b"\r\n")[0]
    except OSError:  # nothing was asked
        return False
    return first.startswith(b"CONNECT ") or b"://" in first


class Silence:
    """A port of this machine that accepts and never answers; counts who came."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def visits(self, *, of_a_proxy: bool = False) -> int:
        """How many came; `of_a_proxy` counts who asked for a connection or a whole address."""
        self._socket.setblocking(False)
        count = 0
        try:
            while True:
                line, _ = self._socket.accept()
                with line:
                    line.settimeout(1)
                    count += not of_a_proxy or _is_asked_of_a_proxy(line)
        except BlockingIOError:
            return count

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def silence() -> Iterator[Silence]:
    port = Silence()
    yield port
    port.close()


@pytest.fixture
def cut_off(silence: Silence, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Silence:
    """No npm, and everything outside this machine goes to a proxy that never answers."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, silence.url)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "localhost,127.0.0.1")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for name in ("VISDOM_USERNAME", "VISDOM_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert "PATH" in os.environ
    return silence
