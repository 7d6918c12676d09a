"""Real servers for tests, and what they are asked."""

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from conftest import smooth_image
from dashboard.serving import first_line, start
from PIL import Image
from visdom_server import eventually, free_port


def encoded(image: Image.Image, format: str = "PNG", **more: Any) -> bytes:
    """A picture as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, format, **more)
    return file.getvalue()


PICTURE = encoded(smooth_image(1))


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    process: Any
    port: int
    temporary: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=headers, timeout=60)

    def post(
        self,
        content: bytes = PICTURE,
        name: str = "holiday.png",
        to: str = "convert",
        headers: dict[str, str] | None = None,
        style: tuple[str, bytes] | None = None,
        **fields: object,
    ) -> requests.Response:
        """Send a picture."""
        return requests.post(
            f"{self.url}/api/{to}",
            files={"file": (name, content)} | ({} if style is None else {"style": style}),
            data={key: str(value) for key, value in fields.items()},
            headers=headers,
            timeout=60,
        )

    @property
    def worker(self) -> psutil.Process:
        """The process that computes."""
        both = [  # the other one only looks at headers
            child
            for child in psutil.Process(self.process.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        return max(both, key=lambda child: child.memory_info().rss)

    @contextmanager
    def paused(self) -> Iterator[psutil.Process]:
        """What comes meanwhile waits: nothing is computed."""
        worker = self.worker
        worker.send_signal(signal.SIGSTOP)
        try:
            yield worker
        finally:
            if worker.is_running():
                worker.send_signal(signal.SIGCONT)

    def ahead(self, ticket: str) -> int | None:
        place = self.get(f"/api/queue/{ticket}").json()
        return None if place is None else int(place["ahead"])

    @contextmanager
    def sent(self, *tickets: str) -> Iterator[list["Future[requests.Response]"]]:
        """Pictures on their way, one after the other, all of which have arrived."""
        with ThreadPoolExecutor(len(tickets)) as pool:
            coming = []
            for place, ticket in enumerate(tickets):
                coming.append(pool.submit(self.post, ticket=ticket))
                assert eventually(lambda: self.ahead(ticket) == place)  # noqa: B023
            yield coming


@contextmanager
def served(runs: Path, temporary: Path, *flags: str) -> Iterator[Server]:
    """`cyclegan serve`, from its first line on; killed if the test did not end it."""
    port = free_port()
    where = ["--checkpoints_dir", str(runs), "--port", str(port), "--precision", "fp32"]
    with start("serve", *where, *flags, TMPDIR=str(temporary)) as process:
        line = first_line(process)
        assert line == f"serve: http://localhost:{port}  (Ctrl-C stops it)\n", process.communicate()
        yield Server(process, port, temporary)


def ended(server: Server, number: signal.Signals) -> tuple[int, str, str]:
    """Exit code and what was printed, after a signal to the whole group as Ctrl-C sends it."""
    os.killpg(server.process.pid, number)
    out, err = server.process.communicate(timeout=20)
    return server.process.returncode, out, err
