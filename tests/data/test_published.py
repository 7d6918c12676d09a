"""Data sets by name, from a server of this machine that stalls, breaks off, redirects and lies."""

import io
import re
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from PIL import Image

from cyclegan import download
from cyclegan.atomic import lock
from cyclegan.cli import run
from cyclegan.errors import UserError

NAME = "horse2zebra"


def picture(shade: int = 0) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((200, 200), 90 + shade).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return file.getvalue()


class Host(ThreadingHTTPServer):
    """A server of archives: `content` is broken off, or stalls, after `pieces` of its answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        whole = {f"{NAME}/{domain}/{n}.jpg": picture(n) for domain in SETS for n in range(2)}
        self.content = archive(whole)
        self.pieces: list[int] = []
        self.stalls = self.ignores_ranges = False
        self.status, self.location, self.tag, self.length = 200, "", '"one"', 0
        self.asked: list[str] = []
        self.done = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


KEPT = 50_000 // 2**14 * 2**14  # a piece that did not come whole is asked for again
SETS = ("trainA", "trainB", "testA", "testB")


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        host = self.server
        range, same = self.headers.get("Range", ""), self.headers.get("If-Range") == host.tag
        host.asked.append(range)
        if host.location and self.path.startswith(f"/{NAME}"):
            self.send_response(302)
            self.send_header("Location", host.location)
            self.end_headers()
            return
        found = re.match(r"bytes=(\d+)-", range) if same and not host.ignores_ranges else None
        start = int(found[1]) if found else 0
        rest = host.content[start:]
        if host.status != 200:
            self.send_response(host.status)
        elif found and not rest:
            self.send_response(416)
        else:
            self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {start}-{len(host.content) - 1}/*")
        if host.tag:
            self.send_header("ETag", host.tag)
        self.send_header("Content-Length", str(host.length or len(rest)))
        self.end_headers()
        self.wfile.write(rest[: host.pieces.pop(0)] if host.pieces else rest)
        if host.stalls and not host.pieces:
            host.stalls = False
            self.wfile.flush()
            host.done.wait(60)

    def log_message(self, *unused: object) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.done.set()
        server.shutdown()
        thread.join()


def fetch(host: Host, *more: str, name: str = NAME) -> int:
    return run(["data", "download", name, *more, "--source", host.url])


def refused(host: Host, *more: str, name: str = NAME) -> str:
    with pytest.raises(UserError) as error:
        fetch(host, *more, name=name)
    return str(error.value)


def left(folder: Path) -> list[str]:
    """What lies in the folder that data sets are downloaded to."""
    return sorted(path.name for path in (folder / "datasets").glob("*"))


def test_a_data_set_comes_by_its_name(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(host) == 0
    folder = tmp_path / "datasets" / NAME
    assert sorted(path.name for path in folder.iterdir()) == ["SOURCE.txt", *sorted(SETS)]
    assert (folder / "trainA" / "0.jpg").read_bytes() == picture_of(host, "trainA/0.jpg")
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(
        (tmp_path / "datasets").stat().st_mode
    )
    assert f"{host.url}/{NAME}.zip" in (folder / "SOURCE.txt").read_text()
    assert left(tmp_path) == [NAME]
    assert "8 images" in capsys.readouterr().out
    assert run(["data", "check", f"datasets/{NAME}"]) == 0


def picture_of(host: Host, name: str) -> bytes:
    with ZipFile(io.BytesIO(host.content)) as zipped:
        return zipped.read(f"{NAME}/{name}")


def test_nothing_is_overwritten(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    assert "mine: already exists, and is left as it is" in refused(host, "mine")
    assert not host.asked


def test_a_broken_connection_goes_on_where_it_broke(host: Host, tmp_path: Path) -> None:
    host.pieces = [50_000, 20_000, 0, 0, 40_000]  # without a byte more, it is tried twice again
    assert fetch(host) == 0
    assert host.asked == ["", *(f"bytes={n * 2**14}-" for n in (3, 4, 4, 4, 6))]
    assert left(tmp_path) == [NAME]


def test_what_came_is_kept_for_the_same_command(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.pieces = [50_000, 0, 0, 0]
    assert refused(host) == (
        f"{host.url}/{NAME}.zip: can't be downloaded (the connection broke off); run the "
        "same command to resume the download"
    )
    assert left(tmp_path) == [f".{NAME}.zip.part", f".{NAME}.zip.part.version"]
    assert fetch(host) == 0
    assert host.asked[-1] == f"bytes={KEPT}-"
    assert left(tmp_path) == [NAME]


def test_another_version_is_no_rest_of_the_first(host: Host, tmp_path: Path) -> None:
    host.pieces = [50_000, 0, 0, 0]
    refused(host)
    host.tag, host.content = '"two"', archive({f"{NAME}/trainA/new.jpg": picture()})
    assert fetch(host) == 0
    assert [path.name for path in (tmp_path / "datasets" / NAME / "trainA").iterdir()] == [
        "new.jpg"
    ]


@pytest.mark.parametrize("change", [{"ignores_ranges": True}, {"tag": ""}, {"tag": 'W/"weak"'}])
def test_a_server_that_knows_no_parts_sends_all_again(
    host: Host, tmp_path: Path, change: dict[str, object]
) -> None:
    vars(host).update(change)
    host.pieces = [50_000]
    assert fetch(host) == 0
    assert left(tmp_path) == [NAME]


def test_a_stalled_connection_is_given_up_and_tried_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    host.pieces, host.stalls = [50_000], True
    assert fetch(host) == 0
    assert host.asked == ["", f"bytes={KEPT}-"]
    assert left(tmp_path) == [NAME]


def test_a_redirection_is_followed(host: Host, tmp_path: Path) -> None:
    host.location = f"{host.url}/moved.zip"
    assert fetch(host) == 0
    assert left(tmp_path) == [NAME]


@pytest.mark.parametrize("location", [f"/{NAME}.zip", "file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_a_redirection_that_leads_nowhere(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str], location: str
) -> None:
    host.location = location
    assert "can't be downloaded (" in refused(host)
    assert left(tmp_path) == []


def test_a_server_that_refuses(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.status = 404
    assert "the server responded 404" in refused(host)
    assert len(host.asked) == 1


def test_a_server_that_never_sends_what_it_announces(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.length = 10**12
    assert "more than 444 MB: not the expected file" in refused(host)


def test_the_digest_of_the_first_download_is_asked_of_later_ones(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(host, "first") == 0
    assert fetch(host, "second") == 0
    host.tag, host.content = '"two"', archive({f"{NAME}/trainA/new.jpg": picture()})
    told = refused(host, "third")
    assert "at the first download" in told and "SHA256SUMS" in told
    assert not (tmp_path / "third").exists()
    assert not list(tmp_path.glob(".*.zip*"))


def link(name: str) -> tuple[ZipInfo, bytes]:
    info = ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, b"/etc"


HOSTILE = (
    "../../trainA/out.jpg",
    "/trainA/root.jpg",
    "trainA/../up.jpg",
    "trainA/.hidden.jpg",
    "trainA/run.py",
    "elsewhere/0.jpg",
    "trainA/a\nb.jpg",
    "trainA/c:d.jpg",
    "trainA/a\\b.jpg",
)


def test_names_and_links_lead_nowhere_else(host: Host, tmp_path: Path) -> None:
    file = io.BytesIO()
    with ZipFile(file, "w") as zipped:
        for name in (*HOSTILE, f"{NAME}/trainA/0.jpg"):
            zipped.writestr(ZipInfo(name), picture())
        zipped.writestr(*link(f"{NAME}/trainB"))
        zipped.writestr(*link(f"{NAME}/trainB/link.jpg"))
    host.content = file.getvalue()
    before = set(tmp_path.rglob("*"))
    assert fetch(host, "deep/inside/here") == 0
    made = {str(path.relative_to(tmp_path)) for path in set(tmp_path.rglob("*")) - before}
    pictures = {name for name in made if name.endswith(".jpg")}
    # What leads out of the archive is taken by its last two names, a domain and a file.
    assert pictures == {f"deep/inside/here/trainA/{name}.jpg" for name in ("0", "out", "root")}


def bomb() -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as zipped:
        zipped.writestr(f"{NAME}/trainA/0.png", bytes(10**7))
    return file.getvalue()


def encrypted() -> bytes:
    made = bytearray(archive({f"{NAME}/trainA/0.jpg": picture()}))
    made[6] |= 1
    made[made.index(b"PK\x01\x02") + 8] |= 1
    return bytes(made)


def newer() -> bytes:
    """An archive packed in a way that Python does not know."""
    made = bytearray(archive({f"{NAME}/trainA/0.jpg": picture()}))
    made[8] = made[made.index(b"PK\x01\x02") + 10] = 99
    return bytes(made)


def bit_flipped() -> bytes:
    made = bytearray(archive({f"{NAME}/trainA/0.jpg": picture()}))
    made[300] ^= 1
    return bytes(made)


UNUSABLE = {
    "a page": b"<html>moved</html>",
    "nothing in it": archive({}),
    "no images": archive({f"{NAME}/readme.txt": b"no"}),
    "a bomb": bomb(),
    "encrypted": encrypted(),
    "packed in a newer way": newer(),
    "a bit flipped": bit_flipped(),
    "cut": archive({f"{NAME}/trainA/0.jpg": picture()})[:-30],
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_is_no_sound_archive_leaves_nothing(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    host.content = UNUSABLE[what]
    assert "damaged, or not an archive of images" in refused(host)
    assert left(tmp_path) == []


def test_two_at_once_do_not_mix(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "datasets").mkdir()
    with (tmp_path / f"datasets/.{NAME}.zip.part").open("ab") as part:
        assert lock(part)
        assert "another process is downloading it" in refused(host)


def test_names_that_are_not_there(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert "perhaps you meant horse2zebra" in refused(host, name="horse2zebre")
    assert "cityscapes-dataset.com" in refused(host, name="cityscapes")
    assert run(["data", "download"]) == 0
    assert "vangogh2photo" in capsys.readouterr().out
