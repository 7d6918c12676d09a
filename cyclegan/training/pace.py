"""What is done now and then takes a small share of the time, however fast the steps are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Of the time, for each thing that is done now and then: there are two, saving and drawing.
SHARE = 0.045


class Pace:
    """Knows when something may be done again: after so many seconds, and never too often.

    0 seconds: always.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._again = 0.0

    def allows(self) -> bool:
        """Whether it is time; the first time is at once."""
        return time.monotonic() >= self._again

    @contextmanager
    def timed(self) -> Iterator[None]:
        """While entered, it is done: how long it takes says when it may be done again."""
        begun = time.monotonic()
        yield
        ended = time.monotonic()
        if self._seconds:
            self._again = ended + max(self._seconds, (ended - begun) / SHARE)
