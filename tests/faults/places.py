"""Disks that fill up or can't be written, and files that are damaged."""

import contextlib
import errno
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.processes import until
from faults.trial import SkippedError


@contextlib.contextmanager
def disk(folder: Path, size: str = "64m") -> Iterator[Path]:
    """Make `folder` a disk of its own. Raises SkippedError where that is not allowed."""
    folder.mkdir()
    needs_root()
    done = _mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder))
    if done.returncode:
        raise SkippedError(f"no disk of its own: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _mount(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["mount", *args], capture_output=True, text=True, check=False)


BALLAST = ".ballast"


def fill(folder: Path) -> None:
    """Leave not a byte on the disk of `folder`."""
    with (folder / BALLAST).open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def empty(folder: Path) -> None:
    """Take away again what `fill` has left."""
    (folder / BALLAST).unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let no file below `folder` be opened for writing, as after an error of the disk.

    The folder is mounted over itself: files that are open stay so, as nothing can close them.
    Raises SkippedError where that is not allowed.
    """
    needs_root()
    bound = _mount("--bind", str(folder), str(folder))
    if bound.returncode:
        raise SkippedError(f"no read-only folder: {bound.stderr.strip()}")
    try:
        # Busy while a file is open that was opened since.
        until(lambda: not _mount("-o", "remount,bind,ro", str(folder)).returncode, "read-only")
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def flip(path: Path, draw: random.Random) -> None:
    """Flip one bit."""
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    _replace(path, bytes(content))


def cut(path: Path, draw: random.Random) -> None:
    """Cut it off somewhere."""
    content = path.read_bytes()
    _replace(path, content[: draw.randrange(len(content))])


def garble(path: Path, draw: random.Random) -> None:
    """Write over a part of it with bytes of chance."""
    content = bytearray(path.read_bytes())
    place = draw.randrange(len(content))
    content[place : place + 40] = draw.randbytes(40)
    _replace(path, bytes(content))


def delete(path: Path, draw: random.Random) -> None:
    """Take it away."""
    path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Write a new file: other names of the old one keep what they have."""
    path.unlink()
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "deleted": delete,
    "cut": cut,
    "flipped": flip,
    "garbled": garble,
}


def needs_root() -> None:
    """Raise SkippedError where this is another user."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise SkippedError("needs root")
