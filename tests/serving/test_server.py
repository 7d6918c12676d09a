"""`cyclegan serve` as it is run: a real server in a process of its own."""

import http.client
import http.server
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
from conftest import GOLDEN, smooth_image
from PIL import Image
from serving.asking import PICTURE, Server, encoded, ended, served
from serving.conftest import write_run
from serving.hostile import HALF, chained, claiming, dripping, slow_head
from visdom_server import eventually, free_port

from cyclegan.cli import run
from cyclegan.errors import install
from cyclegan.serving.admission import TOGETHER

CLASSIC = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


def pages() -> bytes:
    """A TIFF of a small page and of a large one."""
    large = Image.new("L", (1200, 1000))
    return encoded(smooth_image(1, mode="L"), "TIFF", save_all=True, append_images=[large],
                   compression="tiff_deflate")  # fmt: skip


def deep_png() -> bytes:
    import cv2

    pixels = np.asarray(smooth_image(3)).astype(np.uint16) * 257 + 3
    return bytes(cv2.imencode(".png", pixels)[1])


def moving(format: str, count: int = 3) -> bytes:
    frames = [smooth_image(number) for number in range(count)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=80)


FILES = {
    "a.png": PICTURE,
    "b.JPG": encoded(smooth_image(2), "JPEG", quality=80),
    "c.webp": encoded(smooth_image(2), "WEBP"),
    "d.bmp": encoded(smooth_image(2), "BMP"),
    "e.gif": moving("GIF"),
    "f.tiff": encoded(smooth_image(2), "TIFF"),
    "deep.png": deep_png(),
    "clear.png": encoded(smooth_image(4).convert("RGBA").rotate(20)),
    "ünicode & more #1.png": PICTURE,
}


@pytest.mark.parametrize("name", FILES)
def test_the_answer_is_the_file_that_convert_makes(
    name: str, server: Server, runs: Path, tmp_path: Path
) -> None:
    made = server.post(FILES[name], name, model="mine")
    assert made.status_code == 200, made.text
    path = converted(tmp_path, runs, name)
    assert made.content == path.read_bytes()
    assert made.headers["content-type"].startswith("image/")
    known = made.headers["content-disposition"].partition("filename*=UTF-8''")[2]
    assert requests.utils.unquote(known) == f"{Path(name).stem}-mine{path.suffix}"


def converted(folder: Path, runs: Path, name: str, *flags: str) -> Path:
    """What `cyclegan convert` makes of a file."""
    (folder / name).write_bytes(FILES[name])
    where = ["--checkpoints_dir", str(runs), "--input", str(folder / name)]
    out = folder / "out"
    flags = flags if "--name" in flags else ("--name", "mine", *flags)
    assert run(["convert", *where, "--output", str(out), "--precision", "fp32", *flags]) == 0
    (made,) = [path for path in out.iterdir() if path.name not in ("index.html", "manifest.jsonl")]
    return made


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({"model": "mine", "direction": "BtoA"}, ["--direction", "BtoA"]),
        ({"model": "mine", "strength": 0.4}, ["--strength", "0.4"]),
        ({"model": "mine", "load_size": 20}, ["--load_size", "20"]),
        ({"model": "mine (best)"}, ["--epoch", "best"]),
        ({"model": "other"}, ["--name", "other"]),
        ({}, []),
    ],
)
def test_what_is_asked_for_is_done(
    fields: dict, flags: list[str], server: Server, runs: Path, tmp_path: Path
) -> None:
    path = converted(tmp_path, runs, "a.png", *flags)
    assert server.post(FILES["a.png"], "a.png", **fields).content == path.read_bytes()


def test_models_are_told_by_name(server: Server) -> None:
    ways = [
        {"value": "AtoB", "title": "photos to paintings"},
        {"value": "BtoA", "title": "paintings to photos"},
    ]
    assert server.get("/api/models").json() == [
        *(
            {"name": name, "directions": ways, "style": False}
            for name in ("mine", "mine (best)", "other")
        ),
        {"name": "styled", "directions": [], "style": True},
    ]


PAINTING = encoded(smooth_image(30, (60, 50)))


def test_a_picture_takes_on_the_style_that_comes_with_it(
    server: Server, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "painting.png").write_bytes(PAINTING)
    path = converted(
        tmp_path, runs, "a.png", "--name", "styled", "--style", str(tmp_path / "painting.png")
    )
    made = server.post(FILES["a.png"], "a.png", model="styled", style=("x.png", PAINTING))
    assert made.content == path.read_bytes()
    other = ("y.png", encoded(smooth_image(31)))
    assert server.post(FILES["a.png"], model="styled", style=other).content != made.content


@pytest.mark.parametrize(
    ("model", "style", "status", "words"),
    [
        ("styled", None, 422, "styled needs a style picture: send it as style"),
        ("mine", ("x.png", PAINTING), 422, "mine has its style from training: send none"),
        ("styled", ("x.txt", PAINTING), 415, "no style: its name should end in .png"),
        ("styled", ("x.png", b"hello"), 415, "the style: not an image in a supported format"),
        ("styled", ("x.png", PAINTING[:-200]), 422, "x.png: damaged image"),
        ("styled", ("x.png", encoded(Image.new("L", (9, 9)))), 422, "x.png: 9x9 pixels are too"),
        ("styled", ("x.png", claiming(20_000)), 413, "the style: it has 81.9"),
        ("styled", ("x.png", PAINTING + bytes(1_000_000)), 413, "the file is larger than the 1 MB"),
    ],
)  # fmt: skip
def test_a_style_is_bounded_as_every_upload(
    model: str, style: tuple[str, bytes] | None, status: int, words: str, server: Server
) -> None:
    answer = server.post(model=model, style=style)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert str(server.temporary) not in answer.text


def test_video_goes_by_the_command(server: Server) -> None:
    answer = server.post(name="clip.mp4")
    assert answer.status_code == 415
    assert "cyclegan convert --input FILE" in answer.json()["detail"]


# Limits.


def test_a_file_of_too_many_bytes(server: Server) -> None:
    line = {"detail": "the file is larger than the 1 MB allowed here"}
    large = server.post(PICTURE + bytes(1_100_000))
    assert (large.status_code, large.json()) == (413, line)
    whole = requests.Request("POST", server.url, files={"file": ("a.png", bytes(1_100_000))})
    prepared = whole.prepare()
    parts = iter([prepared.body[:900_000], prepared.body[900_000:]])  # of no length that is told
    kind = {"Content-Type": prepared.headers["Content-Type"]}
    answer = requests.post(f"{server.url}/api/convert", data=parts, headers=kind, timeout=60)
    assert (answer.status_code, answer.json()) == (413, line)


def bomb(side: int = 30_000) -> bytes:
    """A PNG of some hundred bytes that says it has `side` pixels a side."""
    small = encoded(Image.new("1", (8, 8)))
    header = small[12:16] + side.to_bytes(4, "big") * 2 + small[24:29]
    return small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]


@pytest.mark.parametrize(
    ("content", "name", "fields", "words"),
    [
        (bomb(), "bomb.png", {}, "far too many pixels"),
        (bomb(1_100), "bomb.png", {}, "it has 1.2 megapixels, 1 are allowed here"),
        (encoded(Image.new("L", (1200, 1000))), "large.png", {}, "it has 1.2 megapixels"),
        (PICTURE, "a.png", {"load_size": 2000}, "scaled up it has 4.4 megapixels"),
        (moving("GIF", 300), "long.gif", {}, "it has more than 1 megapixels"),
        (moving("WEBP", 300), "long.webp", {}, "it has 1.2 megapixels"),
        (pages(), "pages.tif", {}, "it has more than 1 megapixels"),
        (chained(4_000), "chain.tif", {}, "it has more than 244 pages"),
        (claiming(20_000_000), "claims.png", {}, "it has 81920 megapixels"),
        (claiming(2**31 - 1), "claims.png", {}, "it has 8796093 megapixels"),
    ],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(
    content: bytes, name: str, fields: dict, words: str, server: Server
) -> None:
    with server.paused():  # whatever is decoded is decoded there
        begun = time.monotonic()
        answer = server.post(content, name, **fields)
    assert time.monotonic() - begun < 5, "what a header claims is not gone through"
    assert answer.status_code == 413
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "name", "status", "words"),
    [
        (b"", "empty.png", 415, "not an image in a supported format"),
        (b"hello", "text.png", 415, "not an image in a supported format (PNG, JPEG"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "x.png",
            415,
            "not an image in a supported format",
        ),
        (PICTURE, "picture.txt", 415, "its name should end in .png, .jpg"),
        (PICTURE, "picture", 415, "its name should end in"),
        (PICTURE, "array.npy", 415, "its name should end in"),
        (PICTURE[:-200], "cut.png", 422, "cut.png: damaged image"),
    ],
)
def test_what_is_no_picture(
    content: bytes, name: str, status: int, words: str, server: Server
) -> None:
    answer = server.post(content, name)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"model": "mien"}, 404, "no such model; there are mine, mine (best), other"),
        ({"direction": "AtoC"}, 422, "direction: input should be 'AtoB' or 'BtoA'"),
        ({"strength": 2}, 422, "strength: input should be less than or equal to 1"),
        ({"strength": "nan"}, 422, "strength: "),
        ({"load_size": 0}, 422, "load_size: input should be greater than or equal to 1"),
        ({"load_size": "all"}, 422, "load_size: "),
        ({"load_size": "9" * 400}, 422, "load_size: input should be less than or equal to 100000"),
        ({"load_size": "9" * 5000}, 422, "load_size: "),
        ({"strength": "9" * 400}, 422, "strength: "),
        ({"ticket": "9" * 65}, 422, "ticket: "),
        ({"model": "9" * 5000}, 404, "no such model"),
    ],
)
def test_values_that_are_not_understood(
    fields: dict, status: int, words: str, server: Server
) -> None:
    answer = server.post(**fields)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert requests.post(f"{server.url}/api/convert", timeout=60).status_code == 422


@pytest.mark.parametrize("content", [PICTURE, PICTURE[:-200]], ids=["whole", "cut"])
def test_a_name_of_half_a_character(content: bytes, server: Server) -> None:
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="\\ud800.png"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; charset=unicode_escape; boundary=B"}
    body = head + content + b"\r\n--B--\r\n"
    answer = requests.post(f"{server.url}/api/convert", data=body, headers=kind, timeout=60)
    assert answer.status_code == (200 if content == PICTURE else 422)


def test_many_files_at_a_time_are_refused(server: Server) -> None:
    files = [(name, ("a.png", PICTURE)) for name in ("file", "style", "another")]
    answer = requests.post(f"{server.url}/api/convert", files=files, timeout=60)
    assert (answer.status_code, "Too many files" in answer.json()["detail"]) == (400, True)


# Those who send slowly, or little.


def test_slow_uploads_keep_nobody_out(server: Server) -> None:
    with dripping(server.port, slow_head(), 9):
        assert server.post().status_code == 200


def test_of_too_many_slow_uploads_the_slowest_are_told(server: Server) -> None:
    with dripping(server.port, slow_head(), TOGETHER + 3) as lines:
        for line in lines[:3]:
            answer = http.client.HTTPResponse(line)
            answer.begin()
            assert answer.status == 408
            assert b"this one was the slowest" in answer.read()
        assert server.post().status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
def test_half_a_request_keeps_no_file(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    whole = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (256, whole[1]))
    try:
        with dripping(server.port, HALF, 300):
            for _ in range(3):
                assert requests.get(f"{server.url}/api/models", timeout=5).status_code == 200
            assert server.post().status_code == 200
            assert process.num_fds() < 200
    finally:
        process.rlimit(psutil.RLIMIT_NOFILE, whole)


# No path of the disk.

TRICKS = [
    "../other",
    "..",
    ".",
    "/etc",
    "mine/../other",
    "mine/latest.pt",
    "mine\0",
    "C:\\mine",
]


@pytest.mark.parametrize("name", TRICKS)
def test_a_model_is_a_name_and_no_path(name: str, server: Server) -> None:
    answer = server.post(model=name)
    assert (answer.status_code, "no such model" in answer.text) == (404, True)


@pytest.mark.parametrize(
    "name",
    ["../../../evil.png", "..\\..\\evil.png", "/tmp/evil.png", "%2e%2e%2fevil.png", "a\0.png"],
)
def test_the_name_of_an_upload_is_no_path(name: str, server: Server) -> None:
    answer = server.post(name=name)
    assert answer.status_code == 200
    assert "/" not in requests.utils.unquote(answer.headers["content-disposition"].split("''")[1])
    assert list(server.temporary.rglob("*evil*")) == []


@pytest.mark.parametrize(
    "path",
    ["/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/api/queue/..%2f..%2fx",
     "/docs", "/checkpoints/mine/latest.pt", "/page.html.j2", "/static/../page.py"],
)  # fmt: skip
def test_nothing_of_the_disk_is_served(path: str, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (b"404" in head.splitlines()[0] and json.loads(body) == {"detail": "Not Found"}) or (
        body == b"null"
    )


def test_no_answer_tells_where_files_are(server: Server, runs: Path) -> None:
    said = [
        server.post(PICTURE[:-200], "cut.png").text,
        server.post(PICTURE[:-200], "cut.png", to="preview").text,
        server.post(b"x", "x.png").text,
        server.post(model="x").text,
        server.get("/").text,
        server.get("/openapi.json").text,
    ]
    for secret in (str(server.temporary), str(runs), "cyclegan-serve-", "picture.png"):
        assert not any(secret in text for text in said)


# Who may ask.


def test_only_this_machine_reaches_it_by_a_name_of_its_own(server: Server) -> None:
    for host in ("localhost", "127.0.0.1", f"localhost:{server.port}", "[::1]:80", "LOCALHOST"):
        assert server.get("/api/models", Host=host).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "["):
        answer = server.get("/api/models", Host=host)
        assert answer.status_code == 400
        assert "mine" not in answer.text
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(server.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_pages_of_other_servers_may_not_send(server: Server) -> None:
    for origin in ("http://evil.example", "http://localhost:1", "null", "http://["):
        answer = server.post(headers={"Origin": origin})
        assert (answer.status_code, "cross-origin" in answer.text) == (403, True)
    assert server.post(headers={"Origin": server.url}).status_code == 200
    asked = requests.options(
        f"{server.url}/api/convert", headers={"Origin": "http://evil.example"}, timeout=60
    )
    for answer in (asked, server.get("/api/models", Origin="http://evil.example")):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_page_is_fenced_in(server: Server) -> None:
    headers = server.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] != server.get("/").headers["content-security-policy"]


# The queue.


def test_a_full_queue_says_when_to_come_again(server: Server) -> None:
    with server.paused() as worker, server.sent("first", "second") as coming:
        refused = server.post()
        assert refused.status_code == 503
        assert refused.json() == {"detail": "the queue is full: try again later"}
        assert int(refused.headers["Retry-After"]) >= 1
        assert server.get("/").status_code == 200, "it answers all the while"
        worker.send_signal(signal.SIGCONT)
        assert [each.result().status_code for each in coming] == [200, 200]
    assert server.ahead("first") is None
    assert server.post().status_code == 200


def test_who_leaves_lets_the_next_one_in(server: Server) -> None:
    prepared = requests.Request(
        "POST", f"{server.url}/api/convert", files={"file": ("a.png", PICTURE)},
        data={"ticket": "leaves"},
    ).prepare()  # fmt: skip
    with server.paused() as worker:
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            head = "".join(f"{key}: {value}\r\n" for key, value in prepared.headers.items())
            begin = f"POST /api/convert HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode()
            line.sendall(begin + prepared.body)
            assert eventually(lambda: server.ahead("leaves") == 0)
        assert eventually(lambda: server.ahead("leaves") is None)
        assert not worker.is_running(), "what nobody waits for is computed no further"
    assert server.post().status_code == 200


def test_a_crash_is_told_and_the_next_one_goes_well(server: Server) -> None:
    with server.paused() as worker, server.sent("unlucky") as coming:
        worker.kill()
        answer = coming[0].result()
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("the conversion process died")
    assert server.post().status_code == 200
    assert list(next(server.temporary.iterdir()).iterdir()) == [], "no upload is kept"


# Models come and go.


def test_models_that_come_change_and_break(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_run(runs, "first")
    (tmp_path / "tmp").mkdir()
    exported = tmp_path / "exported" / CLASSIC.with_suffix(".safetensors").name
    where = ["--checkpoints_dir", str(runs), "--name", "first", "--output", str(exported)]
    assert run(["export", *where, "--format", "safetensors"]) == 0
    whole = runs / "first" / "latest.pt"
    with served(
        runs, tmp_path / "tmp", "--weights", *map(str, (CLASSIC, exported, whole))
    ) as server:
        ways = {each["name"]: len(each["directions"]) for each in server.get("/api/models").json()}
        classic, other = f"resnet9_nopool/{CLASSIC.name}", f"exported/{exported.name}"
        assert ways == {classic: 0, other: 0, "latest": 2}, "what was asked for, alone"
        assert server.post(direction="AtoB").json()["detail"].startswith(f"{classic} converts in")
        made = [server.post(model=name) for name in ways]
        assert [each.status_code for each in made] == [200, 200, 200]
        assert made[1].content == made[2].content != made[0].content
        assert "resnet9_nopool-initial" in made[0].headers["content-disposition"]
        assert ended(server, signal.SIGTERM) == (0, "serve: stopped\n", "")
    with served(runs, tmp_path / "tmp") as server:
        before = server.post(model="first").content
        write_run(runs, "second")
        assert server.post(model="second").content == before, "it is there, and as the first is"
        write_run(runs, "first", seed=7)
        assert server.post(model="first").content != before
        (runs / "first" / "latest.pt").write_bytes(b"no checkpoint")
        answer = server.post(model="first")
        assert (answer.status_code, str(runs) in answer.text) == (500, False)
        shutil.rmtree(runs / "first")
        assert server.post(model="first").status_code == 404
        assert server.post(model="second").status_code == 200
        code, out, err = ended(server, signal.SIGINT)
    assert (code, out) == (0, "serve: stopped\n")
    assert f"{runs}/first/latest.pt" in err
    assert len(err.splitlines()) == 1
    assert list((tmp_path / "tmp").iterdir()) == []


# The end.


def test_it_stops_at_once_while_it_computes(runs: Path, tmp_path: Path) -> None:
    with served(runs, tmp_path) as server, server.paused() as worker, server.sent("a") as coming:
        assert ended(server, signal.SIGINT) == (0, "serve: stopped\n", "")
        assert coming[0].result().status_code == 500
        assert not worker.is_running()
    assert list(tmp_path.iterdir()) == []


def test_the_worker_does_not_outlive_a_killed_server(runs: Path, tmp_path: Path) -> None:
    with served(runs, tmp_path) as server:
        worker = server.worker
        server.process.kill()
        assert worker.wait(timeout=20) is None


# The description.


def test_the_description_holds_what_is_there(server: Server) -> None:
    told = server.get("/openapi.json").json()
    assert set(told["paths"]) == {
        "/api/models", "/api/queue/{ticket}", "/api/convert", "/api/preview",
    }  # fmt: skip
    convert = told["paths"]["/api/convert"]["post"]
    body = convert["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"]
    schema = told["components"]["schemas"][body.rpartition("/")[2]]
    assert schema["required"] == ["file"]
    assert set(schema["properties"]) == {
        "file", "style", "model", "direction", "strength", "load_size", "ticket",
    }  # fmt: skip
    assert "image/*" in convert["responses"]["200"]["content"]
    assert {"413", "415", "422", "503"} <= set(convert["responses"])
    assert all(each.get("description") for each in convert["responses"].values())


# Mistakes on the command line.


def refused(*args: str, program: str = "from cyclegan.cli import main; main()") -> str:
    """The one line with which a server does not start."""
    command = [sys.executable, "-c", program, "serve", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode in (1, 2)) == ("", True)
    assert done.stderr.startswith("cyclegan: error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--name", "mien"], "--name mien: {runs}/mien holds no checkpoint"),
        (["--name", "../mine"], "--name '../mine': must be a plain name without a path"),
        (["--weights", "no.pth"], "no.pth: no such file"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: not an address"),
        (["--port", "0"], "--port 0"),
        (["--queue", "-1"], "--queue -1"),
        (["--prot", "1"], "perhaps you meant --port"),
    ],
)
def test_mistakes_are_one_line(flags: list[str], words: str, runs: Path) -> None:
    where = [] if "--checkpoints_dir" in flags else ["--checkpoints_dir", str(runs)]
    port = [] if "--port" in flags else ["--port", str(free_port())]
    assert words.format(runs=runs) in refused(*where, *port, *flags)


def test_a_port_that_is_taken(runs: Path) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as taken:
        threading.Thread(target=taken.serve_forever, daemon=True).start()
        port = taken.server_port
        line = refused("--checkpoints_dir", str(runs), "--port", str(port))
        taken.shutdown()
    assert f"port {port} is in use by another program: give another --port" in line


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "python_multipart"])
def test_what_to_install_is_said(package: str, runs: Path) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from cyclegan.cli import main; main()"
    line = refused("--checkpoints_dir", str(runs), program=program)
    assert package in line
    assert install("serve") in line


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_server_itself_never_loads_torch(server: Server) -> None:
    assert server.post().status_code == 200
    assert server.post(PICTURE[:-200]).status_code == 422
    assert any("libtorch" in part.path for part in server.worker.memory_maps())
    loaded = psutil.Process(server.process.pid).memory_maps()
    assert not any("libtorch" in part.path for part in loaded)
