"""Ctrl-C and SIGTERM: stop between two steps after saving, or at once where a run only waits."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from cyclegan.errors import format_duration

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds in which signals are one request: `timeout` signals the process, then its whole group.
ONE_REQUEST = 1.0
#: Seconds between two looks for a signal that came to another thread.
_TICK = 0.5
T = TypeVar("T")


class Interrupted(KeyboardInterrupt):
    """A signal to stop, where nothing has to be finished first."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class CompilerInterrupted(Interrupted):
    """A signal to stop within a step, whose result is lost while the compiler works on.

    The compiler's threads would hold up the end of the process for minutes.
    """


class StopRequest:
    """Context that remembers the first signal to stop; a later one quits at once.

    Where processes stop together, `signal` is left to them: it is what they have agreed on.
    """

    def __init__(self, *, together: bool = False) -> None:
        self.signal: int | None = None
        self.received: int | None = None
        self._together = together
        self._since = 0.0
        self._raises = False
        self._patience = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # others get no signals
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ask(self) -> None:
        """Request what SIGTERM requests."""
        self.received = self.received or signal.SIGTERM
        if not self._together:
            self.signal = self.received

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise the signal as Interrupted while entered; also one that came before."""
        self._raises = True
        try:
            if self.received is not None:
                raise Interrupted(self.received)
            yield
        finally:
            self._raises = False

    def waited_for(self, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`; raise Interrupted for a signal while the next one is not there."""
        iterator = iter(items)
        while True:
            with self.at_once():
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    @contextmanager
    def while_compiling(self, seconds: float) -> Iterator[None]:
        """Let a signal wait for the compiler while entered, for `seconds` at most.

        Raises CompilerInterrupted after that, and where the compiler fails because of the signal.
        The clock ticks from the start: while a process is made, the system may give the signal to
        another thread, and the main one, which waits for the compiler, would not wake up for it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._patience = seconds
        before = signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
        try:
            yield
        except Exception:
            if self.received is None:
                raise
            raise CompilerInterrupted(self.received) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)
            self._patience = 0.0

    def _give_up(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and time.monotonic() - self._since >= self._patience:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            raise CompilerInterrupted(self.received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if time.monotonic() - self._since > ONE_REQUEST:
                os._exit(128 + number)
            return
        self.received, self._since = number, time.monotonic()
        if not self._together:
            self.signal = number
        if self._raises:
            raise Interrupted(number)
        if self._patience:
            log.warning(
                "stopping: waiting for the compiler, up to %s; interrupt again to quit now",
                format_duration(self._patience),
            )
            return
        log.warning("stopping after this step, then saving; interrupt again to quit now")
