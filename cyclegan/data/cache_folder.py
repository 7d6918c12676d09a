"""Where kept pictures lie, and what is left there by runs that were killed."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cyclegan.data import CacheMode
from cyclegan.leftovers import temporary_folder

PREFIX = "cyclegan-images-"
TOLD = ".told"  # made by the first process that says why nothing more is kept
_OLD = 3600.0  # seconds after which no process still writes a file

_Folder = tuple[Path, Callable[[], None]]


def user_folder(what: str = "images") -> Path:
    """Where what can be made again is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cyclegan" / what


def lasting_folder() -> _Folder:
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


def run_folder() -> _Folder:
    """A folder of this run, and what removes it. Raises OSError where none can be made."""
    stack = contextlib.ExitStack()
    return stack.enter_context(temporary_folder(PREFIX)), stack.close


#: The one table of places (`--cache`).
FOLDERS: dict[CacheMode, Callable[[], _Folder]] = {"ram": run_folder, "disk": lasting_folder}


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
