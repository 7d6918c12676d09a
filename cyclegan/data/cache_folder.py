"""Where kept pictures lie, and what is left there by runs that were killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cyclegan.data.settings import CacheMode

PREFIX = "cyclegan-images-"
TOLD = ".told"  # made by the first process that says why nothing more is kept
_OLD = 3600.0  # seconds after which no process still writes a file
_YOUNG = 60.0  # seconds in which a new folder may not have been locked yet

Folder = tuple[Path, Callable[[], None]]


def user_folder(what: str = "images") -> Path:
    """Where what can be made again is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cyclegan" / what


def lasting_folder() -> Folder:
    """The user's folder, and nothing to do at the end. Raises OSError where it can't be written."""
    folder = user_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # a folder that is there may still be read-only
    (folder / TOLD).unlink(missing_ok=True)
    for unfinished in folder.glob(".*.npy.*"):
        with contextlib.suppress(OSError):  # another run may have been here
            if _age(unfinished) > _OLD:
                unfinished.unlink()
    return folder, lambda: None


def temporary_folder() -> Folder:
    """A folder of this run, and what removes it. Raises OSError where none can be made."""
    _remove_left()
    folder = tempfile.TemporaryDirectory(prefix=PREFIX)  # removed when Python ends, too
    # The system lets go of the lock with the process, however that ends.
    lock = os.open(folder.name, os.O_RDONLY)
    with contextlib.suppress(OSError):  # not every file system locks folders
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove() -> None:
        if Path(folder.name).exists():
            folder.cleanup()
            os.close(lock)

    return Path(folder.name), remove


#: The one table of places (`--cache`).
FOLDERS: dict[CacheMode, Callable[[], Folder]] = {"ram": temporary_folder, "disk": lasting_folder}


def _remove_left() -> None:
    """Temporary folders of killed runs: in a folder in memory they would take it up for good."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or in use
            if _age(folder) > _YOUNG:
                _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    """Raises OSError where a process holds `folder`."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
