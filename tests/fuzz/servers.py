"""Real servers, one of each for a worker of the harness, and requests that are sent as they are."""

import atexit
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest
from dashboard.serving import pin_small_scripts, small_scripts
from fuzz import corpus

#: Seconds in which a server begins to answer a whole request; one that waits for more says nothing.
_SILENT = 0.15
_ANSWER = 12.0
_PATIENCE = 60.0  # the harness has less
#: Folders that a dashboard writes into.
_OWN = re.compile(r"\.dashboard/(environments|saving-\d+|static-[\d.]+|\.)|tmp|__pycache__")
LEAVES = ".leaves"  # ending of a request whose client doesn't wait for the answer
_AGAIN = 200.0  # seconds in which a process that converts is there again


@dataclass(frozen=True)
class Server:
    """A server of this machine, which lives as long as this process."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "log"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _started(folder: Path, command: str, flags: Sequence[str]) -> Server:
    port = _free_port()
    (folder / "tmp").mkdir()
    words = [sys.executable, "-m", "cyclegan", command, "--port", str(port), *flags]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"},
        )
    atexit.register(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(command.encode()), (folder / "log").read_text()
    return Server(process, port, folder)


def _folder(name: str) -> Path:
    """A new folder beside those of the cases."""
    folder = Path(os.environ["FUZZ_SERVERS"]) / name
    folder.mkdir(parents=True)
    return folder


@cache
def _serve() -> Server:
    from exporting import save_run

    folder = _folder("serve")
    save_run(folder / "checkpoints" / "mine", {"ngf": 2, "n_blocks": 1}, {})
    where = ["--checkpoints_dir", str(folder / "checkpoints")]
    return _started(folder, "serve", [*where, "--precision", "fp32", "--max_megapixels", "1"])


@cache
def _dashboard() -> Server:
    folder = _folder("dashboard")
    corpus.copy_run("cycle_gan", folder)
    pin_small_scripts(pytest.MonkeyPatch(), folder)
    assets = small_scripts(folder / "assets")
    flags = ["--checkpoints_dir", str(folder), "--assets", str(assets)]
    return _started(folder, "dashboard", [*flags, "--max_megabytes", "1"])


def running() -> list[psutil.Process]:
    """All processes of the servers, whose memory counts as this process's own."""
    mine = psutil.Process()
    return mine.children(recursive=True)


class WrongAnswerError(Exception):
    """An answer that no request should get."""


def _asked(server: Server, request: bytes, patience: float = 0.0) -> bytes:
    """Send a request; return the answer.

    Where none comes because more of the request is expected, the end of it is told after a moment.
    """
    answer, patience = b"", patience or _patience(request)
    where = ("127.0.0.1", server.port)
    with socket.create_connection(where, timeout=patience) as line, suppress(ConnectionError):
        line.sendall(request)
        with suppress(TimeoutError):
            answer = line.recv(1 << 16)
        if not answer:
            line.shutdown(socket.SHUT_WR)
        line.settimeout(max(patience, _ANSWER))
        while not _is_whole(answer) and (part := line.recv(1 << 16)):
            answer += part
    return answer


def _leave(server: Server, request: bytes) -> bytes:
    """Send a request, and hear no answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=_ANSWER) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return line.recv(1)


def _patience(request: bytes) -> float:
    """Seconds in which a request is answered: a moment where it lacks what it says it holds."""
    head, between, body = request.partition(b"\r\n\r\n")
    said = [
        line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    whole = between and (said[-1].strip() == b"%d" % len(body) if said else not body)
    return _PATIENCE if whole else _SILENT


def _is_whole(answer: bytes) -> bool:
    """Whether a WebSocket is open, or the answer's body is there: connections may stay."""
    head, between, body = answer.partition(b"\r\n\r\n")
    if not between:
        return False
    lengths = [
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    return b" 101 " in head[:20] or (bool(lengths) and len(body) >= lengths[0])


def _judge(server: Server, answer: bytes, told: str) -> None:
    """Raise WrongAnswerError for an error that nobody expected, or a server that is gone."""
    if server.process.poll() is not None:
        raise WrongAnswerError(f"the server ended with {server.process.returncode}: {told}")
    status = answer[9:12]
    if answer and not answer.startswith(b"HTTP/1."):
        raise WrongAnswerError(f"no HTTP: {answer[:80]!r}")
    if status == b"500" or "Traceback" in told:
        raise WrongAnswerError(f"{answer[-400:]!r} {told}")


def ask_serve(path: Path) -> None:
    """Send `serve` a request as the file holds it; no upload may stay behind."""
    server = _serve()
    begun = server.log.stat().st_size
    leaves = path.suffix == LEAVES
    answer = _leave(server, path.read_bytes()) if leaves else _asked(server, path.read_bytes())
    left = _left(server.folder / "tmp")
    if left:
        raise WrongAnswerError(f"left behind: {left}")
    _judge(server, answer, _since(server, begun))


@cache
def _whole() -> bytes:
    return next(content for name, content in corpus.conversions() if name == "convert-a.png")


def await_serve() -> None:
    """Wait until a whole picture is converted: a client that went took the process with it."""
    answer = _asked(_serve(), _whole(), patience=_AGAIN)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswerError(f"a whole picture is no longer converted: {answer[-400:]!r}")


def await_dashboard() -> None:
    """Wait until the dashboard answers."""
    answer = _asked(_dashboard(), b"GET /env/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 404 "):
        raise WrongAnswerError(f"the dashboard no longer answers: {answer[-400:]!r}")


def _left(folder: Path) -> list[str]:
    """What is left of uploads a moment after the answer: the last of them may go just now."""
    for _ in range(100):
        found = [str(path) for path in folder.glob("cyclegan-serve-*/*")]
        if not found:
            return []
        time.sleep(0.01)
    return found


def ask_dashboard(path: Path) -> None:
    """Send the dashboard a request as the file holds it."""
    server = _dashboard()
    before, begun = _files_of_dashboard(), server.log.stat().st_size
    _judge(server, _asked(server, path.read_bytes()), _since(server, begun))
    if made := _files_of_dashboard() - before:
        raise WrongAnswerError(f"made {made}")


def _files_of_dashboard() -> set[Path]:
    """All that lies in its folders but what a dashboard keeps by itself."""
    folder = _dashboard().folder
    found = {path.relative_to(folder) for path in folder.rglob("*")}
    return {path for path in found if not _OWN.search(path.as_posix())}


def _since(server: Server, begun: int) -> str:
    with server.log.open("rb") as log:
        log.seek(begun)
        return log.read()[-3000:].decode(errors="replace")
