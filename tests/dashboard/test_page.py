"""Getting the page's scripts: from a folder, unpkg.com or npm; or saying that it can't be."""

import asyncio
import functools
import html
import inspect
import logging
import os
import re
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from browser import lacking
from dashboard.conftest import Silence
from dashboard.serving import small_scripts

from cyclegan import npm
from cyclegan.dashboard import packages
from cyclegan.dashboard.packages import PACKAGES
from cyclegan.dashboard.page import PageFolder
from cyclegan.errors import UsageError
from cyclegan.npm import PinnedFolder


@pytest.fixture
def page(tmp_path: Path) -> PageFolder:
    page = PageFolder(tmp_path / "dashboard")
    page.prepare()
    return page


def test_what_the_page_requires(page: PageFolder) -> None:
    assert {"js/plotly-plotly.min.js", "css/bootstrap.min.css", "js/sjcl.js"} <= set(
        page.scripts.required
    )
    assert "fonts/glyphicons-halflings-regular.woff2" in page.scripts.required
    assert not {"js/main.js", "css/style.css", "../user/style.css"} & set(page.scripts.required)
    assert page.scripts.missing() == page.scripts.required


def test_the_packages_are_those_that_visdom_pins(page: PageFolder) -> None:
    from visdom.server import build

    pinned = inspect.getsource(build)
    targets = {target for package in page.scripts.packages for target, _ in package.files}
    assert set(page.scripts.required) <= targets
    elsewhere = {
        "plotly.js-dist-min": "plotly-2.11.1",
        "d3": "d3.v3",
        "mathjax": page.scripts.packages[-1].version,
    }
    for package in page.scripts.packages:
        if package.name != "d3-selection-multi":
            assert elsewhere.get(package.name, f"{package.name}@{package.version}") in pinned


@pytest.mark.usefixtures("small_pins")
def test_a_folder_of_scripts(page: PageFolder, tmp_path: Path) -> None:
    page.scripts.copy(small_scripts(tmp_path / "given"))
    assert page.scripts.missing() == []
    page.show()
    text = (page.folder / "index.html").read_text()
    assert 'href="/user/style.css"' in text
    assert "../user" not in text
    assert 'href="favicon.png"' not in text


@pytest.mark.usefixtures("small_pins")
def test_an_incomplete_folder_is_named(page: PageFolder, tmp_path: Path) -> None:
    folder = small_scripts(tmp_path / "given")
    (folder / "js" / "jquery.min.js").unlink()
    (folder / "css" / "bootstrap.min.css").write_text("\n<!doctype html> please log in")
    with pytest.raises(UsageError) as error:
        page.scripts.copy(folder)
    assert f"--assets {folder}: lacks css/bootstrap.min.css, js/jquery.min.js; " in str(error.value)
    assert page.scripts.missing() == page.scripts.required


def get(page: PageFolder, **named: Any) -> bool:
    return asyncio.run(page.complete(named))


@pytest.mark.usefixtures("small_pins")
def test_a_complete_folder_is_fetched_by_nobody(page: PageFolder, tmp_path: Path) -> None:
    page.scripts.copy(small_scripts(tmp_path / "given"))

    async def refuse(folder: Path, files: PinnedFolder) -> bool:
        raise AssertionError("asked")

    assert get(page, refuse=refuse)
    assert "plotly" in (page.folder / "index.html").read_text()


async def half(folder: Path, files: PinnedFolder) -> bool:
    small_scripts(folder / "static")
    (folder / "static" / files.required[0]).unlink()
    return True


async def whole(folder: Path, files: PinnedFolder) -> bool:
    assert list(folder.iterdir()) == []
    small_scripts(folder / "static")
    return True


@pytest.mark.usefixtures("small_pins")
def test_half_a_source_counts_for_nothing(
    page: PageFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert not get(page, half=half)
    assert page.scripts.missing() == page.scripts.required
    assert get(page, half=half, whole=whole)
    assert "came from whole" in caplog.text
    assert not (page.folder.parent / "fetching").exists()


async def forged(folder: Path, files: PinnedFolder) -> bool:
    small_scripts(folder / "static")
    (folder / "static" / "js" / "jquery.min.js").write_text("/**/alert(1)")
    return True


@pytest.mark.usefixtures("small_pins")
def test_a_forged_file_is_refused(page: PageFolder, caplog: pytest.LogCaptureFixture) -> None:
    """With all that came with it, in a line; the next source is tried."""
    assert get(page, forged=forged, whole=whole)
    (record,) = caplog.records
    assert record.message == ("dashboard: js/jquery.min.js from forged: SHA-256 mismatch; not used")
    assert (page.folder / "js" / "jquery.min.js").read_text() == "/**/"


@pytest.mark.usefixtures("small_pins")
def test_a_forged_file_in_a_folder(page: PageFolder, tmp_path: Path) -> None:
    """That was given, and that was filled before: it is fetched anew."""
    given = small_scripts(tmp_path / "given")
    (given / "unknown.js").write_text("alert(1)")
    page.scripts.copy(given)
    assert not (page.folder / "unknown.js").exists()
    (page.folder / "js" / "jquery.min.js").write_text("alert(1)")
    assert page.scripts.missing() == ["js/jquery.min.js"]
    (given / "js" / "sjcl.js").write_text("alert(1)")
    with pytest.raises(UsageError, match=r"lacks js/sjcl\.js; it should hold the same files"):
        page.scripts.copy(given)
    assert get(page, whole=whole)
    assert (page.folder / "js" / "jquery.min.js").read_text() == "/**/"


@pytest.mark.usefixtures("small_pins")
def test_an_interrupted_fetch_leaves_nothing(page: PageFolder) -> None:
    pids = []

    async def endless(folder: Path, files: PinnedFolder) -> bool:
        small_scripts(folder / "static")
        async with npm._process(["/bin/sh", "-c", "sleep 100 & wait"]) as process:
            pids.append(process.pid)
            await process.wait()
        return True

    async def interrupt() -> None:
        task = asyncio.create_task(page.complete({"endless": endless}))
        while not pids:
            await asyncio.sleep(0.01)
        assert "downloading" in (page.folder / "index.html").read_text()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    started = time.monotonic()
    asyncio.run(interrupt())
    assert time.monotonic() - started < 50  # the sleep, which holds a pipe, was not waited for
    assert page.scripts.missing() == page.scripts.required
    assert not (page.folder.parent / "fetching").exists()
    with pytest.raises(ProcessLookupError):  # the whole group is gone, or will be in a moment
        for _ in range(100):
            os.killpg(pids[0], 0)
            time.sleep(0.05)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_hosts_that_accept_and_never_answer(
    scheme: str, page: PageFolder, silence: Silence
) -> None:
    started = time.monotonic()
    ask = functools.partial(npm.from_unpkg, host=f"{scheme}://127.0.0.1:{silence.port}")
    assert not get(page, unpkg=ask)
    assert time.monotonic() - started < 10
    assert silence.visits() >= 1


def test_no_source_is_one_clear_line(
    page: PageFolder, cut_off: Silence, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    assert not asyncio.run(page.complete())
    assert time.monotonic() - started < 10
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    for words in ("connect to the internet", "install npm", "--assets FOLDER", page.folder.name):
        assert words in record.message
    assert html.escape("install npm") in (page.folder / "index.html").read_text()


class Stand(BaseHTTPRequestHandler):
    """A proxy that answers for all hosts of the internet, with files of a few bytes."""

    protocol_version = "HTTP/1.1"
    authority: trustme.CA
    answer: Callable[["Stand"], None] | None = None  # to a GET, in place of a file
    hosts: set[str]
    asked: list[str]

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        self.hosts.add(host)
        self.send_response(200)
        self.end_headers()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(host).configure_cert(context)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.answer is not None:
            self.answer()
            return
        self.do_HEAD()
        self.wfile.write(b"/**/")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Stand]]:
    """All that is asked of the internet goes to the stand-in, whose certificates are trusted."""
    handler = type("Handler", (Stand,), {"authority": trustme.CA(), "hosts": set(), "asked": []})
    handler.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("small_pins")
def test_files_of_unpkg(
    page: PageFolder, internet: type[Stand], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert asyncio.run(page.complete())
    assert "the page's scripts came from unpkg.com" in caplog.text
    assert internet.hosts == {"unpkg.com"}
    assert "/plotly.js-dist-min@2.11.1/plotly.min.js" in internet.asked
    assert (page.folder / "js" / "plotly-plotly.min.js").read_text() == "/**/"


def test_other_bytes_from_the_internet(
    page: PageFolder, internet: type[Stand], caplog: pytest.LogCaptureFixture
) -> None:
    """The stand-in's files are none of those that are known."""
    assert not get(page, **{"unpkg.com": npm.from_unpkg})
    first = caplog.records[0].message
    assert "js/plotly-plotly.min.js" in first
    assert "from unpkg.com: SHA-256 mismatch" in first
    assert page.scripts.missing() == page.scripts.required


def test_hosts_that_stop_in_the_middle(page: PageFolder, internet: type[Stand]) -> None:
    internet.answer = lambda stand: time.sleep(30)
    started = time.monotonic()
    assert not get(page, unpkg=npm.from_unpkg)
    assert time.monotonic() - started < 10
    assert page.scripts.missing() == page.scripts.required


def test_a_file_that_is_gone_ends_the_download(page: PageFolder, internet: type[Stand]) -> None:
    internet.answer = lambda stand: stand.send_error(404)
    assert not get(page, unpkg=npm.from_unpkg)
    assert len(internet.asked) == 1


def test_npm(page: PageFolder) -> None:
    """The real registry."""
    if not get(page, npm=npm.from_npm):
        lacking("npm or its registry is not reached")
    assert "plotly.js v2.11.1" in (page.folder / "js" / "plotly-plotly.min.js").read_text()[:200]
    assert "jQuery v3.1.1" in (page.folder / "js" / "jquery.min.js").read_text()[:200]
    assert all(
        (page.folder / target).stat().st_size
        for p in page.scripts.packages
        for target, _ in p.files
    )
    assert sorted(path.name for path in page.folder.parent.iterdir()) == [
        ".fetching.lock",
        page.folder.name,
    ]


NPM = """#!{python}
import io, sys, tarfile
from cyclegan.dashboard.packages import (PACKAGES)
for package in {{p for ps in PACKAGES.values() for p in ps}}:
    if f"{{package.name}}@{{package.version}}" in sys.argv:
        with tarfile.open(f"{{package.name}}-{{package.version}}.tgz", "w:gz") as archive:
            for _, path in package.files:
                entry = tarfile.TarInfo(f"package/{{path}}")
                entry.size = 8
                archive.addfile(entry, io.BytesIO(b"alert(1)"))
"""


def test_other_bytes_from_npm(
    page: PageFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "npm").write_text(NPM.format(python=sys.executable))
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not get(page, npm=npm.from_npm)
    assert "from npm: SHA-256 mismatch" in caplog.records[0].message
    assert page.scripts.missing() == page.scripts.required


def test_every_file_is_pinned(page: PageFolder) -> None:
    """Of both versions of visdom."""
    assert set(page.scripts.required) <= page.scripts.pins.keys()
    for found in PACKAGES.values():
        digests = packages.pins(found)
        assert digests.keys() == {target for package in found for target, _ in package.files}
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())


def test_an_npm_that_fails(
    page: PageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "npm").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not get(page, npm=npm.from_npm)
