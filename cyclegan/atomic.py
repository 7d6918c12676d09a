"""Files that appear under their name whole or never."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

UNFINISHED = ".unfinished"
_LONGEST = 255  # bytes of a name, on nearly every file system
_ROOM = 1 << 16  # bytes that fit on a disk which is not full
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def atomic_write(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield where to write to instead of `path`, whose place it takes when all went well.

    `shared` files are those that several processes may write at once, each apart from the others.
    Raises OSError that says so where writing failed because the disk is full: encoders hide it.
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
    """Make an empty file, and its folder where there is none yet."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))


def hidden_name(name: str, ending: str) -> str:
    """A name for what belongs to a file called `name`: short enough, and always the same."""
    hidden = f".{name}{ending}"
    if len(os.fsencode(hidden)) <= _LONGEST:
        return hidden
    return f".{sha256(os.fsencode(name)).hexdigest()[:32]}{ending}"


def remove_unfinished(folder: Path) -> None:
    """Remove the files that a killed process was writing in `folder`.

    Only the one process that may write there calls it. Shared files hold a process's number in
    their names, and stay while such a process lives.
    """
    import psutil

    for path in folder.glob(f".*{UNFINISHED}"):
        number = path.name.split(".")[-2]
        living = number.isdecimal() and psutil.pid_exists(int(number))
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and not living:
                path.unlink()


def is_full(error: BaseException | None) -> bool:
    """Whether it says that a disk, or one's share of it, is full."""
    return getattr(error, "errno", None) in _FULL


def _check_room(folder: Path) -> None:
    """Raise OSError where nothing more can be written."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM))
