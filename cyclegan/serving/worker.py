"""Worker processes that do one task after another, apart from the server.

A crash or a lack of memory ends one worker only, and a worker can be stopped at any time.
"""

import logging
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from cyclegan.errors import UserError
from cyclegan.execution import PrecisionChoice
from cyclegan.serving.image_header import NoPictureError, TooLargeError
from cyclegan.serving.tasks import BrokenModelError, Models, Task

log = logging.getLogger(__name__)
_HEADER_SECONDS = 5.0
_HEADER_MEMORY = 1 << 30  # bytes


class DiedError(UserError):
    """A worker process that ended in the middle of a task."""


class TooLongError(UserError):
    """A task that took longer than allowed."""


@dataclass(frozen=True)
class Limits:
    """Limits of a task; None for no limit."""

    seconds: float | None = None
    memory: int | None = None
    """in bytes, where the system can enforce it"""


@dataclass(frozen=True)
class _Answer:
    value: Any = None
    error: UserError | None = None


#: Errors that the server tells apart from others.
_KNOWN = (BrokenModelError, NoPictureError, TooLargeError)


class Worker:
    """A worker process, replaced by a new one if it has died."""

    _process: SpawnProcess
    _ready: bool

    def __init__(
        self, make_models: Callable[[], Models], module: str, limits: Limits = Limits()
    ) -> None:
        """Start the process; it imports the slow `module` before the first task."""
        self._given = (make_models, module, limits.memory)
        self._limits = limits
        self._closed = False
        self._changing = threading.Lock()
        self._start()

    @classmethod
    def of_models(cls, device: str, precision: PrecisionChoice, *, trust_code: bool) -> "Worker":
        """Return a worker that converts, without a time limit."""
        make = partial(Models, device, precision, trust_code=trust_code)
        return cls(make, "cyclegan.conversion.network")

    @classmethod
    def of_headers(cls) -> "Worker":
        """Return a worker that reads image headers, limited in time and memory."""
        limits = Limits(_HEADER_SECONDS, _HEADER_MEMORY)
        return cls(partial(Models, "cpu", "fp32", trust_code=False), "PIL.Image", limits)

    def do(self, task: Task) -> Any:
        """Wait for a task's result; for one caller at a time. Raises UserError."""
        with self._changing:
            if self._closed:
                raise DiedError("the server is shutting down")
            if not self._process.is_alive():
                self._start()
            connection = self._connection
        try:
            if not self._ready:  # its start counts for no task's time
                self._ready = connection.recv()
            connection.send(task)
            if not connection.poll(self._limits.seconds):
                self.kill()
                raise TooLongError(f"it takes more than {self._limits.seconds:g} s to look at")
            answer: _Answer = connection.recv()
        except (EOFError, OSError):
            self.kill()
            raise DiedError("the conversion process died; perhaps out of memory") from None
        if answer.error is not None:
            raise answer.error
        return answer.value

    def kill(self) -> None:
        """Kill the process; the next task starts a new one."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """Kill the process for good."""
        with self._changing:
            self._closed = True
            self.kill()

    def _start(self) -> None:
        context = get_context("spawn")  # a fork of a process with threads may hang
        self._connection, theirs = context.Pipe()
        self._ready = False
        self._process = context.Process(target=work, args=(theirs, *self._given), daemon=True)
        # Ctrl-C is for the server, which ends this process; a blocked signal is inherited.
        resource_tracker.ensure_running()  # it would unblock it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # its end is noticed then


def work(
    connection: Connection, make_models: Callable[[], Models], module: str, memory: int | None
) -> None:
    """Announce readiness, then run tasks until the connection closes."""
    if memory is not None:
        with suppress(ImportError):  # Windows can't hold it to that
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    import_module(module)
    models = make_models()
    with suppress(EOFError, OSError):
        connection.send(True)
        while True:
            connection.send(_answer(connection.recv(), models))


def _answer(task: Task, models: Models) -> _Answer:
    try:
        return _Answer(task(models))
    except _KNOWN as error:
        return _Answer(error=error)
    except UserError as error:  # of a class that the server may not know without torch
        return _Answer(error=UserError(str(error)))
    except Exception as error:  # whatever it is, the next task may go well
        log.exception("%s", task)
        return _Answer(error=DiedError(f"the conversion failed ({type(error).__name__})"))
