"""Addresses: who answers at one, who can reach it, and listening on it."""

import errno
import http.client
import ipaddress
import logging
import re
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from cyclegan.errors import UserError
from cyclegan.loggers import LoggerSettings
from cyclegan.run import RunSettings

Answer = Literal["nobody", "visdom", "another"]
BRIEFLY = 3.0  # seconds that training waits for an answer before it begins
PATIENCE = 10.0  # seconds that an answer may take, of a server that is just starting too
_TITLE = re.compile(rb"<title>\s*visdom", re.IGNORECASE)


def who_answers(url: str, patience: float = PATIENCE) -> Answer:
    """Return whether a Visdom server, another program or nobody answers at `url`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=patience) as response:
            return "visdom" if _TITLE.search(response.read(1 << 20)) else "another"
    except urllib.error.HTTPError as error:
        return "visdom" if _TITLE.search(error.read(1 << 20)) else "another"
    except urllib.error.URLError as error:
        return "another" if isinstance(error.reason, ssl.SSLError) else "nobody"
    except OverflowError:  # no port has such a number
        return "nobody"
    except (OSError, ValueError, http.client.HTTPException):  # connected, and no answer of the web
        return "another"


def url_of(server: str, port: int, env: str | None = None) -> str:
    """Return the address of a server, or of an environment's page on it."""
    base = server if urlsplit(server).netloc else f"http://{server}"
    return f"{base.rstrip('/')}:{port}" + (f"/env/{quote(env, safe='')}" if env else "")


def server_of(loggers: LoggerSettings) -> str:
    """Return the address of the server that a training sends to."""
    return url_of(loggers.display_server, loggers.display_port)


def page_of(loggers: LoggerSettings, run: RunSettings) -> str:
    """Return the address at which the training's server shows the run."""
    env = loggers.display_env or run.name
    return url_of(loggers.display_server, loggers.display_port, env)


@contextmanager
def told_early(loggers: LoggerSettings, run: RunSettings) -> Iterator[None]:
    """Print the run's address if a server answers now; if not, the logger prints it later."""
    if not loggers.visdom or who_answers(server_of(loggers), BRIEFLY) != "visdom":
        yield
        return
    page = page_of(loggers, run)
    sys.stdout.write(f"dashboard: {page}\n")
    sys.stdout.flush()
    with told_once(page):
        yield


@contextmanager
def told_once(page: str) -> Iterator[None]:
    """Keep the Visdom logger from printing the run's address again within the block."""
    sender = logging.getLogger("cyclegan.loggers.visdom")

    def is_news(record: logging.LogRecord) -> bool:
        return record.getMessage() != f"dashboard: {page}"

    sender.addFilter(is_news)
    try:
        yield
    finally:
        sender.removeFilter(is_news)


def shown_host(host: str) -> str:
    """Return the host as it is shown in addresses."""
    if host in ("0.0.0.0", "::", ""):  # nosec B104
        return socket.gethostname()
    if is_loopback(host):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server on `host`.

    Raises UserError if `host` is no host.
    """
    try:
        found = socket.getaddrinfo(host or None, None, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host}: not an address of this machine ({error})") from None
    return all(
        ipaddress.ip_address(str(item[4][0]).partition("%")[0]).is_loopback for item in found
    )


def listen(host: str, port: int, flag: str = "--port") -> socket.socket:
    """Return a listening socket. Raises UserError naming who already uses the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            where = f"{host}:{port}"
            raise UserError(f"{where}: can't listen there ({error.strerror or error})") from None
    url = url_of(f"http://{shown_host(host)}", port)
    if who_answers(url_of(f"http://{host}", port)) == "visdom":
        raise UserError(
            f"a Visdom server is already running at {url}; another {flag} starts a second one"
        )
    raise UserError(f"port {port} is in use by another program: give another {flag}")


def make_folder(folder: Path) -> None:
    """Make the dashboard's folder. Raises UserError if it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".fetching.lock").touch()
    except OSError as error:
        raise UserError(
            f"--checkpoints_dir {folder.parent}: can't be written to ({error.strerror})"
        ) from None
