"""Folders behind URLs."""

import functools
import http.server
import json
import threading
from pathlib import Path

import fsspec
import numpy as np
import pytest
from conftest import GOLDEN, smooth_image
from PIL import Image

from cyclegan import Translator
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.job import convert
from cyclegan.conversion.storage import RemoteFolder, url_of
from cyclegan.errors import UserError

FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> fsspec.AbstractFileSystem:
    """A storage in memory, and a cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    for number, name in enumerate(["a.png", "deep/b.jpg", "deep/er/c.png"]):
        path = tmp_path / Path(name).name
        smooth_image(number, (24, 20)).save(path)
        files.put_file(str(path), f"/bucket/{name}")
    return files


def run(source: str, output: str, **more: object) -> int:
    settings = {"weights": FILE, "precision": "fp32", "compile": "off", **more}
    return convert(ConvertSettings(Path(source), Path(output), **settings))


def test_from_storage_to_storage(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("memory://bucket", "memory://made") == 0
    names = {"/made/a.png", "/made/deep/b.jpg", "/made/deep/er/c.png", "/made/manifest.jsonl"}
    assert set(bucket.find("/made")) == names
    with bucket.open("/made/a.png") as file, Image.open(tmp_path / "a.png") as before:
        expected = Translator.load(FILE)(before)
        assert (np.asarray(Image.open(file)) == np.asarray(expected)).all()
    before_all = {name: bucket.cat_file(name) for name in names}
    assert run("memory://bucket", "memory://made") == 0
    assert "0 converted, 3 skipped" in capsys.readouterr().out
    smooth_image(9, (24, 20)).save(tmp_path / "a.png")
    bucket.put_file(str(tmp_path / "a.png"), "/bucket/a.png")
    with pytest.raises(UserError, match=r"a\.png: already exists, made from another input"):
        run("memory://bucket", "memory://made")
    assert run("memory://bucket", "memory://made", overwrite=True) == 0
    assert bucket.cat_file("/made/a.png") != before_all["/made/a.png"]
    assert bucket.cat_file("/made/deep/b.jpg") == before_all["/made/deep/b.jpg"]


def test_nothing_stays_here(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    assert run("memory://bucket", "memory://made") == 0
    pictures = [path for path in (tmp_path / "cache").rglob("*.png") if path.is_file()]
    assert len(pictures) == 4
    assert all(not any(path.read_bytes()) for path in pictures), "empty files stand for them"


def test_bad_files_fail_alone(
    bucket: fsspec.AbstractFileSystem, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.pipe_file("/bucket/bad.png", b"no image")
    assert run("memory://bucket", "memory://made") == 1
    assert "bad.png: not an image in a supported format" in caplog.text
    assert len(bucket.find("/made")) == 4
    lines = bucket.cat_file("/made/manifest.jsonl").decode().splitlines()
    assert [json.loads(line)["output"] for line in lines if json.loads(line)["error"]] == [
        "bad.png"
    ]


def test_from_a_web_server_to_a_folder(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "deep").mkdir(parents=True)
    smooth_image(1, (24, 20)).save(served / "a.png")
    smooth_image(2, (24, 20)).save(served / "deep" / "b.png")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert run(f"http://127.0.0.1:{server.server_port}/", str(tmp_path / "out")) == 0
    finally:
        server.shutdown()
    assert (tmp_path / "out" / "a.png").is_file()
    assert (tmp_path / "out" / "deep" / "b.png").is_file()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://box/a b", "s3://box/a b"),
        ("memory://x", "memory://x"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1:80/x"),
        ("file:///x/y", "file:///x/y"),
        ("folder/x", None),
        ("/folder/x", None),
        ("C:/folder", None),
    ],
)
def test_what_is_a_url(given: str, url: str | None) -> None:
    assert url_of(Path(given)) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [("nonsense://x", "Protocol not known"), ("http://127.0.0.1:9/x", "127.0.0.1:9")],
)
def test_urls_that_lead_nowhere_are_one_line(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, url: str, words: str
) -> None:
    with pytest.raises(UserError, match=words) as raised:
        run(url, str(tmp_path / "out"))
    assert "\n" not in str(raised.value)


def test_names_may_be_as_long_as_the_storage_allows(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    longest = f"{'x' * 251}.png"
    bucket.mv("/bucket/a.png", f"/bucket/{longest}")
    assert run("memory://bucket", f"file://{tmp_path}/made") == 0
    assert (tmp_path / "made" / longest).is_file()


def test_what_has_no_place_here_is_told(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.pipe_file(f"/bucket/{'x' * 300}.png", b"a longer name than files have here")
    assert run("memory://bucket", str(tmp_path / "out")) == 0
    assert (tmp_path / "out" / "a.png").is_file()
    assert "xxx.png: skipped (File name too long)" in caplog.text


def test_a_root_that_cannot_be_written_is_told_before_any_work(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--output file:.*can't be written \(.*\)$"):
        run("memory://bucket", f"file://{tmp_path}/file/out")


def test_one_process_at_a_time_converts_from_and_to_storage(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    """They would empty what stands here for the files that the other one reads."""
    for what, url in (("input", "memory://bucket"), ("output", "memory://made")):
        with RemoteFolder.open(url, what).alone():
            with pytest.raises(UserError, match=f"{url}: in use by another conversion") as raised:
                run("memory://bucket", "memory://made")
            assert "\n" not in str(raised.value)
    assert run("memory://bucket", "memory://made") == 0


def test_shards_go_to_storage_and_are_found_there(
    bucket: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has its own manifest; a page is for local folders."""
    for number in (1, 2):
        assert run("memory://bucket", "memory://made", shard=f"{number}/2") == 0
    assert {name for name in bucket.find("/made") if "manifest" in name} == {
        "/made/manifest-1-of-2.jsonl",
        "/made/manifest-2-of-2.jsonl",
    }
    assert "shard 2/2: 1 converted" in capsys.readouterr().out
    assert run("memory://bucket", "memory://made") == 0
    assert "0 converted, 3 skipped" in capsys.readouterr().out
