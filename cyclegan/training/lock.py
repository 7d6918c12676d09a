"""One process trains a run at a time."""

import fcntl
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.run_folder import RunFolder


@contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold the run in `folder`. Raises UserError where another process trains it.

    The system lets go of it with the process, however that ends. Locks of this kind (lockf) are
    not inherited, so that loading processes which outlive a killed trainer do not hold the run.
    """
    with RunFolder(folder).lock.open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"{folder}: another process is training this run: wait until it has ended"
            ) from None
        yield


def is_trained(folder: Path) -> bool:
    """Whether another process trains the run in `folder`.

    It asks who holds the lock and takes none itself, so that a training that begins just then is
    not refused. A process never asks about its own run: closing the file would let go of it.
    """
    try:
        with RunFolder(folder).lock.open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, _ASKED)
    except FileNotFoundError:
        return False
    kind: int = struct.unpack(_LAYOUT, answer)[_KIND]
    return kind != fcntl.F_UNLCK


# The system's struct flock, for a lock on the whole file: kind and origin, then start, length and
# owner; macOS has the first two last.
_LAYOUT, _KIND = ("qqihh", 3) if sys.platform == "darwin" else ("hhqqi4x", 0)
_WANTED = (fcntl.F_WRLCK, 0)
_ASKED = struct.pack(
    _LAYOUT, *((0, 0, 0, *_WANTED) if sys.platform == "darwin" else (*_WANTED, 0, 0, 0))
)
