"""What killed processes leave behind is removed by the next; never what a living one uses."""

import atexit
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cyclegan.locks import lock

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
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # not every file system locks folders
            stack.callback(os.close, _locked(made))
        folder = made.rename(place / made.name.removeprefix(".new-"))
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
        handle = _locked(folder)
        try:
            shutil.rmtree(folder)
        finally:
            os.close(handle)


def _locked(folder: Path) -> int:
    """Lock a folder as long as what is returned is open. Raises OSError where that can't be."""
    flags = (getattr(os, name, 0) for name in ("O_DIRECTORY", "O_NOFOLLOW"))  # not on Windows
    handle = os.open(folder, os.O_RDONLY | sum(flags))
    try:
        if not lock(handle):
            raise BlockingIOError(f"{folder}: another process uses it")
    except OSError:
        os.close(handle)
        raise
    return handle
