"""The Visdom client and logger, and the thread that sends."""

import hashlib
import logging
import os
import threading
import time
from queue import Empty, Full, Queue
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from cyclegan.errors import UserError, require_extra
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.grid import saved_pictures
from cyclegan.loggers.jsonl import read_records
from cyclegan.loggers.logger import Logger, Pictures, Record, RunInfo
from cyclegan.loggers.visdom_page import GRIDS, Page, TakenError
from cyclegan.run import Position, RunFolder

log = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds that a request may take: a slow server is better than none


class RefusedError(Exception):
    """A request that needs a login, or another one."""


class UnwelcomeError(Exception):
    """A request that the server refuses, with the reason it gives."""


def address_of(settings: LoggerSettings) -> str:
    """Return the server's address."""
    server = settings.display_server.rstrip("/")
    return f"{server if '://' in server else f'http://{server}'}:{settings.display_port}"


def connect(settings: LoggerSettings, env: str) -> Any:
    """Return a Visdom client for one environment; user and password are environment variables.

    Raises RefusedError if user or password are wrong or missing, UnwelcomeError if the server is
    not known by its address, ConnectionError or requests.RequestException if nobody answers, and
    UserError if visdom is not installed.
    """
    require_extra("the dashboard", "dashboard", "visdom")
    import visdom

    session = _logged_in(address_of(settings))

    class Client(visdom.Visdom):
        """Visdom's client with time limits, raising the errors that it hides."""

        def _handle_post(self, url: str, data: Any = None) -> str:
            answer = session.post(url, data=data or {}, timeout=PATIENCE)
            _check(answer)
            return answer.text

        def win_exists(self, win: str, env: str | None = None) -> bool:
            """Return whether a window exists; visdom's own prints a line if the server is gone."""
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
    """Raise UnwelcomeError, RefusedError or requests.HTTPError for an error response."""
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


WAITING = 100  # things that may wait to be sent; what does not fit is read from the files later
RETRY = 2.0  # seconds between two attempts to reach a server
CLASHES = 3  # drawings over ours that show that another training is alive
CLOSING = 5.0  # seconds that the end of a training waits for the last points to arrive

Item = Record | tuple[Position, Pictures] | Position | None


class VisdomLogger(Logger):
    """Logger that hands everything to a thread and never waits for it.

    What the thread can't send is dropped: when a server answers again, every window is redrawn from
    the run's own files.
    """

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._sender = _Sender(settings, run_info)
        self._thread = threading.Thread(target=self._sender.run, name="visdom", daemon=True)
        self._thread.start()

    def record(self, record: Record) -> None:
        self._sender.hand_over(record)

    def pictures(self, position: Position, pictures: Pictures) -> None:
        self._sender.hand_over((position, pictures))

    def saved(self, position: Position) -> None:
        self._sender.hand_over(position)

    def close(self) -> None:
        self._sender.ended.set()
        self._sender.hand_over(None)
        self._thread.join(CLOSING)


class _Sender:
    """State and loop of the sending thread; its page is None while no server answers."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._settings = settings
        self._run_info = run_info
        self._env = settings.display_env or run_info.name
        self._waiting: Queue[Item] = Queue(WAITING)
        self._missed = threading.Event()
        self._page: Page | None = None
        self._tried = -RETRY
        self._state = "new"
        self._clashes = 0
        self.ended = threading.Event()

    def hand_over(self, item: Item) -> None:
        """Queue a record, grids, the position of a checkpoint, or None to wake the thread."""
        try:
            self._waiting.put_nowait(item)
        except Full:
            self._missed.set()

    def run(self) -> None:
        """Send queued items until the logger is closed."""
        while True:
            ended = self.ended.is_set()  # asked first: what was handed over before is still sent
            items = self._next_items(wait=not ended)
            due = time.monotonic() - self._tried >= RETRY
            wanted = due if self._page is None else items or self._missed.is_set()
            if wanted and self._clashes < CLASHES:
                self._try(items)
            if ended:
                return

    def _next_items(self, wait: bool) -> list[Item]:
        """Return all queued items, or wait for the next; an empty list when it is time to retry."""
        items = []
        try:
            if wait:
                # The first attempt is not put off until there is something to send.
                pause = max(0.01, self._tried + RETRY - time.monotonic())
                items.append(self._waiting.get(timeout=pause if self._page is None else None))
            while True:
                items.append(self._waiting.get_nowait())
        except Empty:
            return items

    def _try(self, items: list[Item]) -> None:
        self._tried = time.monotonic()
        try:
            self._send(items)
            self._tell("shown")
        except TakenError:
            self._page = None
            self._clashes += 1
            if self._clashes == CLASHES:
                self._tell("taken")
        except RefusedError:
            self._page = None
            self._tell("refused")
        except UnwelcomeError as error:
            self._page = None
            self._tell("unwelcome", error)
        except UserError as error:  # visdom is not installed
            self._tell("missing", error)
        except OSError:  # the client's ConnectionError, and all errors of requests
            self._page = None
            self._tell("away")
        except Exception as error:  # whatever it is: a page is no reason to stop training
            self._page = None
            self._tell("failing", error)

    def _send(self, items: list[Item]) -> None:
        page = self._page
        if page is None or self._missed.is_set() or page.crowded() or not page.intact():
            page = self._redrawn()
        page.add([item for item in items if isinstance(item, Record)])
        for item in items:
            if isinstance(item, tuple):
                page.show(*item)
        checkpoints = [item for item in items if isinstance(item, Position)]
        if checkpoints:
            page.save(checkpoints[-1])
        self._page = page

    def _redrawn(self) -> Page:
        """Return a page on a new connection, drawn from the run's files."""
        self._missed.clear()
        page = Page(connect(self._settings, self._env), self._run_info)
        folder = RunFolder(self._run_info.folder)
        page.redraw(
            read_records(folder.losses),
            {kind: saved_pictures(folder.pictures / kind) for kind in GRIDS},
        )
        if (
            self._state == "new"
            and self._run_info.start.images == 0
            and not self._settings.display_env
        ):
            page.clear_others()
        return page

    def _tell(self, state: str, error: Exception | None = None) -> None:
        """Log one line when the state changes, and none while it stays."""
        if state == self._state:
            return
        lines = _LINES | _FIRST_LINES if self._state == "new" else _LINES
        self._state = state
        address = address_of(self._settings)
        page = f"{address}/env/{quote(self._env, safe='')}"
        log.warning(lines[state].format(address=address, page=page, env=self._env, error=error))


_FIRST_LINES = {
    "shown": "dashboard: {page}",
    "away": "no Visdom server at {address}: training continues, and everything is shown once one "
    "is running (cyclegan dashboard starts one; --no_visdom: don't try)",
}
_LINES = {
    "shown": "connected to the Visdom server: the whole run is shown at {page}",
    "away": "the Visdom server at {address} is gone: training continues, and everything is shown "
    "when it is back (cyclegan dashboard starts one)",
    "taken": "another run logs as {env} at {address}: this one is no longer shown there; "
    "--display_env NAME gives it its own environment",
    "refused": "the Visdom server at {address} rejects the login: training continues without it; "
    "set VISDOM_USERNAME and VISDOM_PASSWORD to what the server was started with",
    "unwelcome": "the Visdom server at {address} rejects what this run sends: {error}",
    "missing": "{error}; training continues without it (--no_visdom: don't try)",
    "failing": "the page at {address} can't be drawn ({error!r}): training continues without it",
}
