"""Files that appear under their name whole or never."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

_LONGEST = 255  # bytes of a name, on nearly every file system
_ROOM = 1 << 16  # bytes that fit on a disk which is not full
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write to instead of `path`; its place is taken when all went well.

    Raises OSError that says so where writing failed because the disk is full: encoders hide it.
    """
    unfinished = path.with_name(hidden_name(path.name, ".unfinished"))
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


def is_full(error: BaseException | None) -> bool:
    """Whether it says that a disk, or one's share of it, is full."""
    return getattr(error, "errno", None) in _FULL


def _check_room(folder: Path) -> None:
    """Raise OSError where nothing more can be written."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM))
