"""Ctrl-C and SIGTERM end a run between two steps, after saving, or at once where it only waits."""

import logging
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
T = TypeVar("T")


class Interrupted(KeyboardInterrupt):
    """A signal to stop, where nothing has to be finished first."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class StopRequest:
    """While entered, remembers the first signal to stop; a second one quits at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._raises = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While entered, the signal is raised as Interrupted; also one that came before."""
        self._raises = True
        try:
            if self.signal is not None:
                raise Interrupted(self.signal)
            yield
        finally:
            self._raises = False

    def waited_for(self, items: Iterable[T]) -> Iterator[T]:
        """The same items; raises Interrupted for a signal while the next one is not there."""
        iterator = iter(items)
        while True:
            with self.at_once():
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        if self._raises:
            raise Interrupted(number)
        log.warning("stopping after this step, then saving; once more quits at once")
