"""What killed processes leave behind is removed by the next; never what a living one uses."""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

YOUNG = 60.0  # seconds in which a hidden folder may not have been locked yet


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A folder in `parent` (the system's own for such things) that is gone afterwards.

    The next one of this prefix removes it where this process is killed. Raises OSError.
    """
    place = parent or Path(tempfile.gettempdir())
    remove_folders(prefix, place)
    # Hidden until it is locked: whatever is seen unlocked is nobody's any more.
    made = Path(tempfile.mkdtemp(prefix=f".new-{prefix}", dir=place))
    # The system lets go of the lock with the process, however that ends.
    lock = os.open(made, os.O_RDONLY)
    with contextlib.suppress(OSError):  # not every file system locks folders
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder = made.rename(place / made.name.removeprefix(".new-"))
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, lock)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(stack.close)  # where this is never left
        stack.callback(atexit.unregister, stack.close)
        yield folder


def remove_folders(prefix: str, parent: Path | None = None) -> None:
    """Remove the temporary folders of this prefix that no living process holds."""
    place = parent or Path(tempfile.gettempdir())
    for folder in place.glob(f"{prefix}*"):
        _remove_unlocked(folder)
    for folder in place.glob(f".new-{prefix}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > YOUNG:
                _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another user's, or in use
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        finally:
            os.close(lock)
