"""Locks on open files and folders, which the system releases when the process ends.

Some file systems have no locks, and Windows has none of this kind: each caller says what that
means.
"""

import errno
import os
from types import ModuleType
from typing import IO


def lock(
    file: IO[bytes] | int, *, shared: bool = False, wait: bool = False, at: int | None = None
) -> bool:
    """Lock an open file or folder, or the byte `at` of a file; return whether it was free.

    Raises OSError if locks are not supported.
    """
    fcntl = _fcntl()
    way = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        if at is None:
            fcntl.flock(file, way)
        else:
            fcntl.lockf(file, way, 1, at)
    except (BlockingIOError, PermissionError):
        return False
    return True


def unlock(file: IO[bytes], *, at: int) -> None:
    """Unlock the byte `at`. Raises OSError if locks are not supported."""
    fcntl = _fcntl()
    fcntl.lockf(file, fcntl.LOCK_UN, 1, at)


def _fcntl() -> ModuleType:
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from None
    return fcntl
