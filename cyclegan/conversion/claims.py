"""Several processes may convert into one folder: each output is made by one of them at a time."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

from cyclegan.conversion.files import Job
from cyclegan.errors import UserError, in_words
from cyclegan.locks import lock, unlock

log = logging.getLogger(__name__)

NAME = ".converting.lock"


@dataclass(frozen=True)
class Claims:
    """What this process makes in an output folder; others see it, and leave it alone.

    One byte of a file stands for each output, and is locked while that is made. The system lets go
    of locks with the process, however that ends.
    """

    file: IO[bytes]
    overwrite: bool = False
    """whether what others have finished is made again"""
    found: list[Job] = field(default_factory=list)
    """finished by others since it was decided what to do"""

    def shared(self, jobs: Sequence[Job]) -> Iterator[Iterable[Job]]:
        """The jobs in parts: those that no one else makes, then one by one what others didn't end.

        A job is claimed when it is asked for, and to be released when it is made or has failed. A
        part has to be through before the next one: nobody waits who keeps others waiting.
        """
        busy: list[Job] = []
        yield self._free(jobs, busy)
        if busy:
            log.warning("another process makes %s too: waiting for it", _named(busy))
        for job in busy:
            self._lock(job, wait=True)
            yield self._free([job], [])

    def release(self, job: Job) -> None:
        """Let others make it, or see that it is there."""
        with suppress(OSError):  # not every file system has locks
            unlock(self.file, at=_place(job.name))

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other process writes what is called so in the folder, and keep them off."""
        job = Job(Path(), Path(), Path(name))
        self._lock(job, wait=True)
        try:
            yield
        finally:
            self.release(job)

    def _free(self, jobs: Sequence[Job], busy: list[Job]) -> Iterator[Job]:
        for job in jobs:
            if not self._lock(job):
                busy.append(job)
            elif job.is_done and not self.overwrite:
                self.found.append(job)
                self.release(job)
            else:
                yield job

    def _lock(self, job: Job, *, wait: bool = False) -> bool:
        try:
            return lock(self.file, wait=wait, at=_place(job.name))
        except OSError:  # as above
            return True


@contextmanager
def claims(folder: Path, *, overwrite: bool) -> Iterator[Claims]:
    """Claim what is made in `folder`. Raises UserError where it can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _present(folder / NAME)
    except FileExistsError:
        raise UserError(f"--output {folder}: can't be written (Not a directory)") from None
    except OSError as error:
        raise UserError(f"--output {folder}: can't be written ({in_words(error)})") from error
    with file:
        try:
            yield Claims(file, overwrite)
        finally:
            _remove_unless_shared(file, folder / NAME)


def _present(path: Path) -> IO[bytes]:
    """The folder's file, opened; its first byte is locked by all who use it."""
    while True:
        file = path.open("a+b")
        try:
            lock(file, shared=True, wait=True, at=0)
        except OSError:
            return file  # as above
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # the last one who used it has just removed it


def _remove_unless_shared(file: IO[bytes], path: Path) -> None:
    with suppress(OSError):  # as above
        if lock(file, at=0):
            path.unlink(missing_ok=True)


def _place(name: Path) -> int:
    """The byte that stands for an output; the first one stands for the folder."""
    return 1 + int.from_bytes(sha256(os.fsencode(name)).digest()[:7], "big")


def _named(jobs: Sequence[Job]) -> str:
    more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return f"{jobs[0].target}{more}"
