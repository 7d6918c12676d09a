"""A connection to a Visdom server."""

import hashlib
import logging
import os
from typing import Any
from urllib.parse import urlsplit

import requests

from cyclegan.loggers import LoggerSettings
from cyclegan.packages import need

PATIENCE = 30.0  # seconds that a request may take: a slow server is better than none


class RefusedError(Exception):
    """The server wants a login, or another one."""


class UnwelcomeError(Exception):
    """The server takes no such thing, as it says."""


def address_of(settings: LoggerSettings) -> str:
    """Where the server is."""
    server = settings.display_server.rstrip("/")
    return f"{server if '://' in server else f'http://{server}'}:{settings.display_port}"


def connect(settings: LoggerSettings, env: str) -> Any:
    """A Visdom client for one environment; user and password come from the process's environment.

    Raises RefusedError where these are wrong or missing, UnwelcomeError where the server is not
    known by its address, ConnectionError or requests.RequestException where nobody answers, and
    UserError where visdom is not installed.
    """
    need("the dashboard", "dashboard", "visdom")
    import visdom

    session = _logged_in(address_of(settings))

    class Client(visdom.Visdom):
        """The library's client, but for time limits, and with errors where it hides them."""

        def _handle_post(self, url: str, data: Any = None) -> str:
            answer = session.post(url, data=data or {}, timeout=PATIENCE)
            _check(answer)
            return answer.text

        def win_exists(self, win: str, env: str | None = None) -> bool:
            """The library's own prints a line where the server is gone."""
            return self._send({"win": win, "eid": env}, "win_exists", quiet=True) == "true"

    logging.getLogger("visdom").setLevel(logging.CRITICAL)
    return Client(
        server=settings.display_server,
        port=settings.display_port,
        env=env,
        use_incoming_socket=False,
        raise_exceptions=True,
    )


def _check(answer: requests.Response) -> None:
    """Raise for an answer that is none: UnwelcomeError, RefusedError, requests.HTTPError."""
    if answer.ok:
        return
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        if answer.status_code in (400, 401, 403):
            raise RefusedError from None
        answer.raise_for_status()
    else:
        raise UnwelcomeError(said)


def _logged_in(address: str) -> requests.Session:
    session = requests.Session()
    # A proxy of the network is not for this machine, and a password not for a proxy.
    session.trust_env = urlsplit(address).hostname not in ("localhost", "127.0.0.1", "::1")
    user, password = os.environ.get("VISDOM_USERNAME"), os.environ.get("VISDOM_PASSWORD")
    if user and password:
        # The server expects what its own page sends: the password's hash.
        hashed = hashlib.sha256(password.encode()).hexdigest()
        answer = session.post(
            address, json={"username": user, "password": hashed}, timeout=PATIENCE
        )
        if answer.status_code in (requests.codes.bad_request, requests.codes.too_many_requests):
            raise RefusedError
    return session
