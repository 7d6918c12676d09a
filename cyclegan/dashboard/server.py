"""The Visdom server, which runs until stopped and saves its environments."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclegan.dashboard import DashboardSettings, address
from cyclegan.dashboard.application import make_application
from cyclegan.dashboard.guard import Origins, RequestGuard
from cyclegan.dashboard.login import PASSWORD, read_login
from cyclegan.dashboard.page import PageFolder
from cyclegan.errors import UserError

log = logging.getLogger(__name__)
SAVING = 60.0  # seconds between two savings
UPLOAD = 120.0  # seconds that the body of a request may take
IDLE = 20.0  # seconds that a connection may say nothing, or half a request


@dataclass(frozen=True)
class Service:
    """A server to run: its settings, listening socket and login, and when to stop."""

    settings: DashboardSettings
    listening: socket.socket
    login: tuple[str, str] | None = None
    env: str | None = None
    """an environment that exists from the start, so its page can be opened"""
    announce: Callable[[], None] = lambda: None
    """called when a signal shuts the server down"""
    is_wanted: Callable[[], bool] = lambda: True
    """polled every second; the server stops when False"""


def run(settings: DashboardSettings) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code. Raises UserError."""
    login = read_login(settings.host)
    address.make_folder(settings.folder)
    page = PageFolder(settings.folder)
    if settings.assets is not None and page.scripts.missing():
        page.scripts.copy(settings.assets)
    terminal = sys.stdout
    url = address.url_of(f"http://{address.shown_host(settings.host)}", settings.port)

    def announce() -> None:
        terminal.write(f"dashboard: {url}  (Ctrl-C stops it)\n")
        terminal.flush()

    with address.listen(settings.host, settings.port) as listening:
        serve(Service(settings, listening, login, announce=announce))
    sys.stdout.write(f"dashboard: stopped; what it showed is saved in {settings.folder}\n")
    return 0


def serve(service: Service) -> None:
    """Serve with visdom silenced, and without the password in child processes' environment."""
    os.environ.pop(PASSWORD, None)
    logging.getLogger().addHandler(logging.NullHandler())
    ours = logging.getLogger("cyclegan")
    ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    ours.propagate = False
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        asyncio.run(_serve(service))


async def _serve(service: Service) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service.announce()
    folder = service.settings.folder
    page = PageFolder(folder)
    page.prepare()
    port = service.listening.getsockname()[1]
    app, environments = make_application(folder, port, page, service.login)
    if service.env is not None and service.env not in app.state:
        app.state[service.env] = {"jsons": {}, "reload": {}}
    tasks = [
        asyncio.create_task(_complete(page)),
        asyncio.create_task(_every(SAVING, environments.save)),
        asyncio.create_task(_watch(service.is_wanted, stop)),
    ]
    _accept(app, service)
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    environments.save()


def _accept(app: Any, service: Service) -> None:
    from tornado.httpserver import HTTPServer

    settings = service.settings
    guard = RequestGuard(app, Origins.of(settings.host, settings.hosts), settings.largest_body)
    service.listening.setblocking(False)
    HTTPServer(guard, body_timeout=UPLOAD, idle_connection_timeout=IDLE).add_sockets(
        [service.listening]
    )


async def _complete(page: PageFolder) -> None:
    try:
        await page.complete()
    except (OSError, UserError) as error:  # a full disk, say: training can still send
        log.warning("dashboard: the page's scripts can't be cached: %s", error)


async def _every(seconds: float, action: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        action()


async def _watch(is_wanted: Callable[[], bool], stop: asyncio.Event) -> None:
    while is_wanted():
        await asyncio.sleep(1)
    stop.set()


def _serve_beside(number: str, parent: str, checkpoints_dir: str, host: str, env: str) -> None:
    """Serve on the socket with this file descriptor while the process `parent` lives."""
    with socket.socket(fileno=int(number)) as listening:
        serve(
            Service(
                DashboardSettings(checkpoints_dir=Path(checkpoints_dir), host=host),
                listening,
                login=read_login(host),
                env=env,
                is_wanted=lambda: os.getppid() == int(parent),
            )
        )


if __name__ == "__main__":
    _serve_beside(*sys.argv[1:])
