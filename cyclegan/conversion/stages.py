"""Threads of the stages of a conversion, which read, compute and write at the same time."""

import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def threads(count: int, *, always_end: bool = False) -> Iterator[Executor]:
    """Yield a pool of threads; after an error, only tasks that were begun are finished.

    An interrupt does not wait for what threads read, which may never come, unless `always_end`.
    """
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        error = sys.exception()
        stopped = isinstance(error, KeyboardInterrupt) and not always_end
        pool.shutdown(wait=not stopped, cancel_futures=error is not None)


def ahead(coming: Iterator[T], thread: Executor) -> Iterator[T]:
    """Yield the values, making the next one in `thread` meanwhile."""
    following = thread.submit(next, coming, None)
    while (value := following.result()) is not None:
        following = thread.submit(next, coming, None)
        yield value
