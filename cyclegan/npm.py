"""Files of npm packages: exact versions, known by their digests, from unpkg.com or by npm."""

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import signal
import sys
import tarfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock

from cyclegan.atomic import atomic_write
from cyclegan.errors import UsageError

log = logging.getLogger(__name__)
UNPKG = "https://unpkg.com"  # has the files of npm's packages one by one
ANSWER = 5.0  # seconds in which its first, a small one, comes
LIMIT = 600.0  # seconds that a source may take


@dataclass(frozen=True)
class Package:
    """An npm package and its needed files: path in the folder, path in the package."""

    name: str
    version: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PinnedFolder:
    """A folder of files of npm packages; a file that differs from its digest does not count."""

    folder: Path
    packages: tuple[Package, ...]
    pins: Mapping[str, str]
    """SHA-256 of all files of the packages, by path below the folder"""
    required: Sequence[str]
    """files without which the folder is not complete"""

    def missing(self, folder: Path | None = None) -> list[str]:
        """Return the required files that are missing from `folder` or differ from their pins.

        By default `folder` is its own.
        """
        where = self.folder if folder is None else folder
        return [path for path in self.required if _digest(where / path) != self.pins.get(path, "")]

    def forged(self, folder: Path) -> list[str]:
        """Return the files in `folder` whose bytes are not the pinned ones."""
        return [
            path for path, pin in self.pins.items() if _digest(folder / path) not in (pin, None)
        ]

    def take(self, source: Path) -> None:
        """Copy the files that match their pins from `source` into the folder."""
        for path, pin in self.pins.items():
            if _digest(source / path) == pin:
                place((source / path).read_bytes(), self.folder / path)

    def copy(self, source: Path) -> None:
        """Copy the files from `source`. Raises UsageError naming missing ones."""
        missing = self.missing(source)
        if missing:
            raise UsageError(
                f"--assets {source}: lacks {', '.join(missing)}; it should hold the same files as "
                f"the {self.folder} of a machine that could fetch them"
            )
        self.take(source)


def place(content: bytes, target: Path) -> None:
    """Write a file atomically."""
    with atomic_write(target) as unfinished:
        unfinished.write_bytes(content)


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


Source = Callable[[Path, PinnedFolder], Awaitable[bool]]


async def from_unpkg(folder: Path, files: PinnedFolder, host: str = UNPKG) -> bool:
    """Download files of npm packages into folder/static, under their names there."""
    words = [
        word
        for package in files.packages
        for target, path in package.files
        for word in (
            f"{host}/{package.name}@{package.version}/{path}",
            str(folder / "static" / target),
        )
    ]
    async with _process([sys.executable, "-m", "cyclegan.download", *words]) as process:
        assert process.stdout is not None
        try:
            answer = await asyncio.wait_for(process.stdout.readline(), ANSWER)
        except TimeoutError:
            return False
        return bool(answer) and await asyncio.wait_for(process.wait(), LIMIT) == 0


async def from_npm(folder: Path, files: PinnedFolder) -> bool:
    """Download the packages by npm, with the registry and proxy that npm is configured for."""
    npm = shutil.which("npm")
    if npm is None or not files.packages:
        return False
    quick = ["--fetch-retries=0", "--fetch-timeout=10000", "--no-update-notifier"]
    quiet = ["--silent", "--ignore-scripts", f"--cache={folder.resolve() / 'cache'}"]
    names = [f"{package.name}@{package.version}" for package in files.packages]
    async with _process([npm, "pack", *quick, *quiet, *names], cwd=folder) as process:
        if await asyncio.wait_for(process.wait(), LIMIT) != 0:
            return False
    await asyncio.to_thread(_unpack, folder, files.packages)
    return True


#: In the order in which they are tried, by the name that is told.
SOURCES: dict[str, Source] = {"unpkg.com": from_unpkg, "npm": from_npm}


async def fetch(files: PinnedFolder, name: str, sources: Mapping[str, Source] = SOURCES) -> None:
    """Try the sources in turn; files from a source count only if nothing is missing.

    The folder's parent holds what has come so far, and a lock. Lines of the log begin with `name`.
    """
    async with _alone(files.folder.parent) as folder:
        for origin, source in sources.items():
            if not files.missing():  # another process may have been here
                return
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with contextlib.suppress(OSError, TimeoutError, *_DAMAGED):
                if await source(folder, files):
                    _take(files, folder / "static", name, origin)


def _take(files: PinnedFolder, static: Path, name: str, origin: str) -> None:
    """Copy a source's files if they are complete and all match their pins."""
    forged = ", ".join(files.forged(static))
    if forged:
        log.warning("%s: %s from %s: SHA-256 mismatch; not used", name, forged, origin)
    elif not files.missing(static):
        files.take(static)
        log.info("%s: the page's scripts came from %s", name, origin)


@contextlib.asynccontextmanager
async def _alone(parent: Path) -> AsyncIterator[Path]:
    """Lock a folder to fetch into, which an earlier process may have left; remove it afterwards."""
    folder = parent / "fetching"
    parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.AsyncFileLock(parent / ".fetching.lock", run_in_executor=False)
    async with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def _process(
    command: Sequence[str], cwd: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process in a group of its own, which is killed when the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


#: What unpacking a damaged archive raises.
_DAMAGED = (tarfile.TarError, KeyError, ValueError, EOFError, zlib.error)
_LARGEST = 1 << 26  # bytes of a file: an archive may claim any size


def _unpack(folder: Path, packages: Sequence[Package]) -> None:
    """Extract the needed files from the packages' archives.

    Raises one of `_DAMAGED` if one is missing or no plain file, OSError if it can't be written.
    """
    for package in packages:
        with tarfile.open(folder / f"{package.name}-{package.version}.tgz") as archive:
            # Every package has one folder at its top, not always of the same name.
            members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
            for target, path in package.files:
                member = members[path]
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.size > _LARGEST:
                    raise tarfile.ReadError(f"{path}: no plain file, or a very large one")
                place(content.read(), folder / "static" / target)
