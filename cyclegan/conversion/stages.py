"""Reading, computing and writing beside each other: what their threads have in common."""

import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def threads(count: int, *, always_end: bool = False) -> Iterator[Executor]:
    """Threads that do in turn what they are given; where something is raised, only what they began.

    A stop does not wait for what they read, which may never come, unless they `always_end` that.
    """
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        error = sys.exception()
        stopped = isinstance(error, KeyboardInterrupt) and not always_end
        pool.shutdown(wait=not stopped, cancel_futures=error is not None)


def ahead(coming: Iterator[T], thread: Executor) -> Iterator[T]:
    """The same values; the next one is made meanwhile, in `thread`."""
    following = thread.submit(next, coming, None)
    while (value := following.result()) is not None:
        following = thread.submit(next, coming, None)
        yield value
