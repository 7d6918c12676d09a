"""Atomic file writes, locks, and temporary folders that are removed even after a kill."""

import atexit
import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import IO

from cyclegan.errors import UserError


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


UNFINISHED = ".unfinished"
_LONGEST = 255  # bytes of a name, on nearly every file system
_ROOM = 1 << 16  # bytes that fit on a disk which is not full
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def check_absent(path: Path, *, overwrite: bool) -> None:
    """Raise UserError if something is at `path` that may not be overwritten.

    Asked before work begins, and once more before its result gets that name.
    """
    if not overwrite and path.exists():
        raise UserError(f"{path}: already exists: give another --output, or --overwrite")


@contextmanager
def atomic_write(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a path to write to; it replaces `path` if all went well.

    With `shared`, several processes may write the file at once, each to a path of its own. If
    writing failed because the disk is full, raises an OSError that says so: encoders hide it.
    """
    number = f".{os.getpid()}" if shared else ""
    unfinished = path.with_name(hidden_name(path.name, f"{number}{UNFINISHED}"))
    try:
        _touch(unfinished)  # Pillow removes what it made, and with it the sign of a full disk
        yield unfinished
        unfinished.replace(path)
    except (OSError, RuntimeError) as error:
        if not getattr(error, "errno", None):
            _check_room(path.parent)
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def _touch(path: Path) -> None:
    """Create an empty file, and its folder if there is none yet."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))


def hidden_name(name: str, ending: str) -> str:
    """Return a hidden name derived from `name`: short enough, and always the same."""
    hidden = f".{name}{ending}"
    if len(os.fsencode(hidden)) <= _LONGEST:
        return hidden
    return f".{sha256(os.fsencode(name)).hexdigest()[:32]}{ending}"


def remove_unfinished(folder: Path) -> None:
    """Remove the files that a killed process was writing in `folder`.

    To be called only by the one process that may write there. The names of shared files hold a
    process id; such files stay while that process lives.
    """
    import psutil

    for path in folder.glob(f".*{UNFINISHED}"):
        number = path.name.split(".")[-2]
        living = number.isdecimal() and psutil.pid_exists(int(number))
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and not living:
                path.unlink()


def is_full(error: BaseException | None) -> bool:
    """Return whether an error says that a disk, or the user's quota on it, is full."""
    return getattr(error, "errno", None) in _FULL


def _check_room(folder: Path) -> None:
    """Raise OSError if nothing more can be written to `folder`."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM))


YOUNG = 60.0  # seconds in which a hidden folder may not have been locked yet


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder in `parent` (by default the system's temporary one), removed on exit.

    If this process is killed, the next call with the same prefix removes the folder. Raises
    OSError.
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
    """Lock a folder until the returned descriptor is closed. Raises OSError if that fails."""
    flags = (getattr(os, name, 0) for name in ("O_DIRECTORY", "O_NOFOLLOW"))  # not on Windows
    handle = os.open(folder, os.O_RDONLY | sum(flags))
    try:
        if not lock(handle):
            raise BlockingIOError(f"{folder}: in use by another process")
    except OSError:
        os.close(handle)
        raise
    return handle
