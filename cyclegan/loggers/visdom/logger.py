"""The Visdom logger, and the thread that does its sending."""

import logging
import threading
import time
from queue import Empty, Full, Queue
from urllib.parse import quote

from cyclegan.errors import UserError
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.jsonl import read_records
from cyclegan.loggers.pictures import saved_pictures
from cyclegan.loggers.record import Logger, Pictures, Record
from cyclegan.loggers.visdom.client import RefusedError, UnwelcomeError, address_of, connect
from cyclegan.loggers.visdom.page import GRIDS, Page, TakenError
from cyclegan.position import Position
from cyclegan.run_folder import RunFolder

log = logging.getLogger(__name__)
WAITING = 100  # things that may wait to be sent; what does not fit is read from the files later
RETRY = 2.0  # seconds between two attempts to reach a server
CLASHES = 3  # drawings over ours that show that another training is alive
CLOSING = 5.0  # seconds that the end of a training waits for the last points to arrive

Item = Record | tuple[Position, Pictures] | Position | None


class VisdomLogger(Logger):
    """Hands everything to a thread and never waits for it.

    What the thread can't send it forgets: when a server answers again, it draws every window anew
    from the run's own files.
    """

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._sender = _Sender(settings, journey)
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
    """What the thread does. Its page is None while no server answers."""

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._settings = settings
        self._journey = journey
        self._env = settings.display_env or journey.name
        self._waiting: Queue[Item] = Queue(WAITING)
        self._missed = threading.Event()
        self._page: Page | None = None
        self._tried = -RETRY
        self._state = "new"
        self._clashes = 0
        self.ended = threading.Event()

    def hand_over(self, item: Item) -> None:
        """Take a record, grids, the position of a checkpoint, or None to wake the thread."""
        try:
            self._waiting.put_nowait(item)
        except Full:
            self._missed.set()

    def run(self) -> None:
        """Send until the end."""
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
        """All that waits, or what comes next; nothing when it is time to try again."""
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
        """A page on a new connection, with all that the run's files hold."""
        self._missed.clear()
        page = Page(connect(self._settings, self._env), self._journey)
        folder = RunFolder(self._journey.folder)
        page.redraw(
            read_records(folder.losses),
            {kind: saved_pictures(folder.pictures / kind) for kind in GRIDS},
        )
        if (
            self._state == "new"
            and self._journey.start.images == 0
            and not self._settings.display_env
        ):
            page.clear_others()
        return page

    def _tell(self, state: str, error: Exception | None = None) -> None:
        """One line when the state changes, and none while it stays."""
        if state == self._state:
            return
        lines = _LINES | _FIRST_LINES if self._state == "new" else _LINES
        self._state = state
        address = address_of(self._settings)
        page = f"{address}/env/{quote(self._env, safe='')}"
        log.warning(lines[state].format(address=address, page=page, env=self._env, error=error))


_FIRST_LINES = {
    "shown": "dashboard: {page}",
    "away": "no Visdom server at {address}: training goes on, and everything is shown when one "
    "answers (cyclegan dashboard starts one; --no_visdom: don't ask)",
}
_LINES = {
    "shown": "the Visdom server answers: everything since the run began is shown at {page}",
    "away": "the Visdom server at {address} is gone: training goes on, and everything is shown "
    "when it is back (cyclegan dashboard starts one)",
    "taken": "another training shows itself as {env} at {address}: this one is no longer shown "
    "there; --display_env NAME gives it a place of its own",
    "refused": "the Visdom server at {address} refuses the login: training goes on without it; "
    "set VISDOM_USERNAME and VISDOM_PASSWORD to what the server was started with",
    "unwelcome": "the Visdom server at {address} takes nothing from this training: {error}",
    "missing": "{error}; training goes on without it (--no_visdom: don't ask)",
    "failing": "the page at {address} can't be drawn ({error!r}): training goes on without it",
}
