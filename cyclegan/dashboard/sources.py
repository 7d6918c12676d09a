"""Sources of the page's scripts: unpkg.com and npm, asked in turn."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tarfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import filelock

from cyclegan.dashboard.packages import Package
from cyclegan.dashboard.page import PageFolder, place

log = logging.getLogger(__name__)
UNPKG = "https://unpkg.com"  # has the files of npm's packages one by one
ANSWER = 5.0  # seconds in which its first, a small one, comes
LIMIT = 600.0  # seconds that a source may take
FETCHING = "downloading the page's scripts, only this once"
NOTHING = (
    "the page stays empty: its scripts could not be fetched; connect to the internet or install "
    "npm and start it again, or give --assets FOLDER (cyclegan dashboard) with a copy of {name} "
    "from a machine where it works; training can send to it all the same"
)
Source = Callable[[Path, PageFolder], Awaitable[bool]]


async def from_unpkg(folder: Path, page: PageFolder, host: str = UNPKG) -> bool:
    """Download files of npm packages into folder/static, under visdom's names for them."""
    files = [
        word
        for package in page.packages
        for target, path in package.files
        for word in (
            f"{host}/{package.name}@{package.version}/{path}",
            str(folder / "static" / target),
        )
    ]
    async with _process([sys.executable, "-m", "cyclegan.download", *files]) as process:
        assert process.stdout is not None
        try:
            answer = await asyncio.wait_for(process.stdout.readline(), ANSWER)
        except TimeoutError:
            return False
        return bool(answer) and await asyncio.wait_for(process.wait(), LIMIT) == 0


async def from_npm(folder: Path, page: PageFolder) -> bool:
    """Download the packages by npm, with the registry and proxy that npm is configured for."""
    npm = shutil.which("npm")
    if npm is None or not page.packages:
        return False
    quick = ["--fetch-retries=0", "--fetch-timeout=10000", "--no-update-notifier"]
    quiet = ["--silent", "--ignore-scripts", f"--cache={folder.resolve() / 'cache'}"]
    names = [f"{package.name}@{package.version}" for package in page.packages]
    async with _process([npm, "pack", *quick, *quiet, *names], cwd=folder) as process:
        if await asyncio.wait_for(process.wait(), LIMIT) != 0:
            return False
    await asyncio.to_thread(_unpack, folder, page.packages)
    return True


#: In the order in which they are tried, by the name that is told.
SOURCES: dict[str, Source] = {"unpkg.com": from_unpkg, "npm": from_npm}


async def complete(page: PageFolder, dashboard: Path, sources: dict[str, Source] = SOURCES) -> bool:
    """Show the page after fetching what it lacks; return whether it is complete.

    Logs a line when fetching starts and one when it fails.
    """
    if page.missing():
        log.info("dashboard: %s", FETCHING)
        page.tell(f"{FETCHING}; this shows what training sends as soon as they are there")
        async with _alone(dashboard) as folder:
            await _fetch(page, folder, sources)
    if page.missing():
        nothing = NOTHING.format(name=page.folder)
        log.warning("dashboard: %s", nothing)
        page.tell(nothing)
        return False
    page.show()
    return True


async def _fetch(page: PageFolder, folder: Path, sources: dict[str, Source]) -> None:
    """Try the sources in turn; files from a source count only if nothing is missing."""
    for name, source in sources.items():
        if not page.missing():  # another dashboard may have been here
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with contextlib.suppress(OSError, TimeoutError, *_DAMAGED):
            if await source(folder, page):
                _take(page, folder / "static", name)


def _take(page: PageFolder, static: Path, name: str) -> None:
    """Copy a source's files if they are complete and all match their pins."""
    forged = page.forged(static)
    if forged:
        log.warning(
            "dashboard: %s from %s: SHA-256 mismatch; not used",
            ", ".join(forged),
            name,
        )
    elif not page.missing(static):
        page.take(static)
        log.info("dashboard: the page's scripts came from %s", name)


@contextlib.asynccontextmanager
async def _alone(dashboard: Path) -> AsyncIterator[Path]:
    """Lock a folder to fetch into, which an earlier process may have left; remove it afterwards."""
    folder = dashboard / "fetching"
    lock = filelock.AsyncFileLock(dashboard / ".fetching.lock", run_in_executor=False)
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
