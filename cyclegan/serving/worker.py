"""A process that computes one thing after the other, apart from the server.

What crashes or runs out of memory in it takes nobody along, and it can be stopped at any time.
"""

import logging
import signal
import threading
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from cyclegan.errors import UserError
from cyclegan.execution.settings import PrecisionChoice
from cyclegan.serving.tasks import BrokenModelError, Models, Task

log = logging.getLogger(__name__)


class DiedError(UserError):
    """The process ended in the middle of a task."""


@dataclass(frozen=True)
class _Answer:
    value: Any = None
    error: UserError | None = None


class Worker:
    """The process; a new one takes its place when it has died."""

    def __init__(
        self, device: str, precision: PrecisionChoice, *, trust_code: bool = False
    ) -> None:
        self._given = (device, precision, trust_code)
        self._closed = False
        self._changing = threading.Lock()
        self._start()

    def do(self, task: Task) -> Any:
        """Wait for the answer; for one caller at a time. Raises UserError."""
        with self._changing:
            if self._closed:
                raise DiedError("the server is being stopped")
            if not self._process.is_alive():
                self._start()
            connection = self._connection
        try:
            connection.send(task)
            answer: _Answer = connection.recv()
        except (EOFError, OSError):
            self.kill()
            raise DiedError("the conversion was ended; too little memory, perhaps") from None
        if answer.error is not None:
            raise answer.error
        return answer.value

    def kill(self) -> None:
        """End what it does; the next task starts it again."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """End it for good."""
        with self._changing:
            self._closed = True
            self.kill()

    def _start(self) -> None:
        context = get_context("spawn")  # a fork of a process with threads may hang
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, *self._given), daemon=True)
        # Ctrl-C is for the server, which ends this process; a blocked signal is inherited.
        resource_tracker.ensure_running()  # it would unblock it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # its end is noticed then


def work(connection: Connection, device: str, precision: PrecisionChoice, trust_code: bool) -> None:
    """Answer tasks until nobody is left to ask."""
    import_module("cyclegan.conversion.single")  # what takes a while, before it is needed
    models = Models(device, precision, trust_code=trust_code)
    while True:
        try:
            connection.send(_answer(connection.recv(), models))
        except (EOFError, OSError):
            return


def _answer(task: Task, models: Models) -> _Answer:
    try:
        return _Answer(task(models))
    except BrokenModelError as error:
        return _Answer(error=error)
    except UserError as error:  # of a class that the server may not know without torch
        return _Answer(error=UserError(str(error)))
    except Exception as error:  # whatever it is, the next task may go well
        log.exception("%s", task)
        return _Answer(error=DiedError(f"the conversion failed ({type(error).__name__})"))
