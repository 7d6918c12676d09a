"""Losses and pictures for a Visdom server that is already running."""

import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from cyclegan.loggers.record import Journey, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position

log = logging.getLogger(__name__)
PATIENCE = 5.0  # seconds that a request may take


class VisdomLogger:
    """Sends curves and grids; without a server it says so once and training goes on."""

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._address = f"{settings.display_server}:{settings.display_port}"
        self._client = _connect(settings, journey.name) if settings.visdom else None
        if settings.visdom and self._client is None:
            log.warning(
                "no Visdom server at %s: training goes on without it (--no_visdom: don't ask)",
                self._address,
            )

    def step(self, position: Position) -> None:
        """Only records and pictures are sent."""

    def record(self, record: Record) -> None:
        for name, value in record.values.items():
            self._send(partial(_append, name=name, value=value, images=record.position.images))

    def pictures(self, position: Position, grid: Image.Image) -> None:
        title = f"epoch {position.epoch}, {position.images} images"
        pixels = np.asarray(grid).transpose(2, 0, 1)
        self._send(lambda client: client.image(pixels, win="pictures", opts={"title": title}))

    def close(self) -> None:
        """Nothing is left open."""

    def _send(self, request: Callable[[Any], object]) -> None:
        if self._client is None:
            return
        try:
            request(self._client)
        except Exception:  # whatever the client raises: a page is no reason to stop training
            self._client = None
            log.warning("the Visdom server at %s is gone: training goes on", self._address)


def _append(client: Any, name: str, value: float, images: int) -> None:
    """Add a point to the curve in the window of that name."""
    client.line(
        Y=np.array([value]),
        X=np.array([images]),
        win=name,
        update="append",
        opts={"title": name.replace("_", " "), "xlabel": "images"},
    )


def _connect(settings: LoggerSettings, name: str) -> Any:
    """A client, or None where nobody answers."""
    if not _answers(settings):
        return None
    import visdom

    class Client(visdom.Visdom):
        """A client that gives up on a server that hangs."""

        def _handle_post(self, url: str, data: Any = None) -> str:
            session: Any = self.session  # type: ignore[attr-defined]
            return str(session.post(url, data=data or {}, timeout=PATIENCE).text)

    logging.getLogger("visdom").setLevel(logging.CRITICAL)
    for login in _logins():
        try:
            return Client(
                server=settings.display_server,
                port=settings.display_port,
                env=settings.display_env or name,
                use_incoming_socket=False,
                raise_exceptions=True,
                **login,
            )
        except Exception:  # as above; a server without a login refuses one
            continue
    return None


def _logins() -> list[dict[str, Any]]:
    """What to log in with: the two environment variables if there are both, and nothing."""
    names = {"username": "VISDOM_USERNAME", "password": "VISDOM_PASSWORD"}
    login: dict[str, Any] = {
        key: os.environ[name] for key, name in names.items() if os.environ.get(name)
    }
    return [login, {}] if len(login) == 2 else [{}]


def _answers(settings: LoggerSettings) -> bool:
    host = urlsplit(settings.display_server).hostname or settings.display_server
    try:
        socket.create_connection((host, settings.display_port), timeout=2).close()
    except (OSError, ValueError):  # a host that is none is a ValueError
        return False
    return True
