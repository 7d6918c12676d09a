"""Weights are downloaded once, whole or not at all, from a server of this machine."""

import os
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from feature_weights import save_vgg

from cyclegan import download
from cyclegan.errors import UserError
from cyclegan.features import vgg
from cyclegan.features.network import NoWeightsError
from cyclegan.features.table import layered_network


class Host(ThreadingHTTPServer):
    """Says what it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.length: int | None = None
        self.status = 200
        self.asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        length = self.server.length or len(self.server.content)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *unused: object) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Has the weights of a VGG-19 that ends early, at the address that is asked for them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # where it is kept what was told
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    with Host() as server:
        server.content = save_vgg(tmp_path / "vgg.pth").read_bytes()
        digest = sha256(server.content).hexdigest()[:8]
        address = f"http://127.0.0.1:{server.server_port}/models/vgg19-{digest}.pth"
        monkeypatch.setattr(vgg, "URL", address)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "hub").rglob("*") if path.is_file()]


def test_once_is_enough(host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        network = layered_network("vgg19")
        assert network.name == "vgg19"
        assert network.layers == ("relu1_1", "relu1_2", "relu2_1")
    assert host.asked == 1
    assert left(tmp_path) == [vgg.URL.rpartition("/")[2]]
    out, err = capsys.readouterr()
    assert out == "", "figures for programs go there"
    assert err.splitlines()[0].startswith(f"downloading {vgg.URL.rpartition('/')[2]}")
    assert "pooch" not in err.lower()
    assert "sha256" not in err.lower()
    (path,) = (tmp_path / "hub").rglob("*.pth")
    assert path.stat().st_mode & 0o777 == 0o644, "others of this machine may read it"


@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_download_is_told_and_leaves_nothing(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: bool
) -> None:
    whole = host.content
    if cut:
        host.content, host.length = whole[:1000], len(whole)
    else:
        host.content = bytes(len(whole))
    with pytest.raises(NoWeightsError) as error:
        vgg.vgg19()
    assert "--feature_weights FILE" in str(error.value)
    assert vgg.URL in str(error.value)
    assert "\n" not in str(error.value)
    assert left(tmp_path) == []
    assert layered_network("vgg19").name == "efficientnet-lite0"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    host.content, host.length = whole, None
    assert layered_network("vgg19").name == "vgg19", "the next time it comes"


def test_a_server_that_refuses(host: Host) -> None:
    host.status = 404
    with pytest.raises(NoWeightsError, match="the server responded 404"):
        vgg.vgg19()


def test_without_a_network_the_default_is_used(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vgg, "URL", "http://127.0.0.1:9/vgg19-00000000.pth")
    assert layered_network("vgg19").name == "efficientnet-lite0"
    assert "no connection" in caplog.text
    assert "--feature_weights FILE; using efficientnet-lite0 instead" in caplog.text
    assert len(caplog.records) == 1


def test_that_is_told_once_a_day(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vgg, "URL", "http://127.0.0.1:9/vgg19-00000000.pth")
    for _ in range(3):
        assert layered_network("vgg19").name == "efficientnet-lite0"
        assert len(caplog.records) == 1
    (told,) = (tmp_path / "cache").rglob("told/*")
    yesterday = told.stat().st_mtime - 90_000
    os.utime(told, (yesterday, yesterday))
    layered_network("vgg19")
    assert len(caplog.records) == 2
    host.status = 404
    address = f"http://127.0.0.1:{host.server_port}/vgg19-00000000.pth"
    monkeypatch.setattr(vgg, "URL", address)
    layered_network("vgg19")
    assert "the server responded 404" in caplog.text, "another reason is news"
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")  # where nothing can be kept
    for _ in range(2):
        layered_network("vgg19")
    assert len(caplog.records) == 5


def test_a_server_that_never_answers(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    host.length = len(host.content) + 10
    wait = threading.Event()
    monkeypatch.setattr(Handler, "do_GET", lambda self: wait.wait(5))
    with pytest.raises(NoWeightsError, match="no response within 0 s"):
        vgg.vgg19()
    wait.set()


def test_a_file_that_was_damaged_later_says_how_to_get_another(host: Host, tmp_path: Path) -> None:
    layered_network("vgg19")
    (path,) = (tmp_path / "hub").rglob("*.pth")
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"\.pth: .*: delete it to download it again"):
        layered_network("vgg19")
