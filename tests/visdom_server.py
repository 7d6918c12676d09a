"""Real Visdom servers for tests, and what they hold."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import visdom

RUN = "from visdom.server.run_server import main; main()"
SLOW = """
import asyncio, tornado.web
async def prepare(handler):
    await asyncio.sleep({delay})
tornado.web.RequestHandler.prepare = prepare
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server as a process: `delay` makes it slow, a login makes it refuse strangers."""

    def __init__(self, folder: Path, *, delay: float = 0, login: tuple[str, str] | None = None):
        self.port = free_port()
        self._folder, self._delay, self._login = folder, delay, login
        self.start()

    def start(self) -> None:
        """Start it, again too, on the same port and with the environments that were saved."""
        home = self._folder / "home"
        (home / ".visdom").mkdir(parents=True, exist_ok=True)
        code = (SLOW.format(delay=self._delay) if self._delay else "") + RUN
        command = [sys.executable, "-u", "-c", code, "-port", str(self.port)]
        command += ["-env_path", str(self._folder / "environments")]
        env = {**os.environ, "HOME": str(home)}
        if self._login:
            command += ["-enable_login", "-force_new_cookie"]
            env |= {"VISDOM_USE_ENV_CREDENTIALS": "1", "VISDOM_COOKIE": "secret"}
            env |= dict(zip(("VISDOM_USERNAME", "VISDOM_PASSWORD"), self._login, strict=True))
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        assert self._process.stdout
        for line in self._process.stdout:
            if b"navigate" in line:  # it listens before it says so
                return
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        """Without a chance to save anything."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def client(self, env: str = "run") -> Any:
        name, password = self._login or (None, None)
        return visdom.Visdom(port=self.port, env=env, username=name, password=password,
                             use_incoming_socket=False, raise_exceptions=True)  # fmt: skip

    def window(self, name: str, env: str = "run") -> dict[str, Any]:
        """A window as the server holds it; empty where there is none."""
        try:
            held: dict[str, Any] = json.loads(self.client(env).get_window_data(name))
        except (ValueError, OSError):  # no such window or environment, or not reachable
            return {}
        return held

    def x(self, name: str = "cycle", env: str = "run") -> list[int]:
        """The places of a chart's first line."""
        held = self.window(name, env)
        return [int(x) for x in held["content"]["data"][0]["x"]] if held else []


def eventually(holds: Callable[[], bool], seconds: float = 120) -> bool:
    """Whether something comes true in time: the other process tells nobody when."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
