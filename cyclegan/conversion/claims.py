"""Claims on outputs: processes that convert into one folder make each of them once."""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import IO

from cyclegan.atomic import lock, unlock
from cyclegan.conversion.files import Job, is_video, parts_of
from cyclegan.errors import UserError, in_words

log = logging.getLogger(__name__)
LOCK = ".converting.lock"


@dataclass(frozen=True)
class Claims:
    """The outputs that this process makes in a folder, locked against other processes.

    One byte of a file stands for each output, and is locked while that output is made. Those who
    make parts of it share that lock, and each part has a byte of its own. The system releases locks
    when the process ends, however it ends.
    """

    file: IO[bytes]
    overwrite: bool = False
    """whether to redo what others finished"""
    found: list[Job] = field(default_factory=list)
    """finished by others since planning"""
    begun: list[Job] = field(default_factory=list)
    """whose part is made, and other parts are not yet"""

    def shared(self, jobs: Sequence[Job]) -> Iterator[Iterable[Job]]:
        """Yield the jobs in parts: the free ones, then one by one those that others did not finish.

        A job is claimed when it is asked for, and must be released when it is made or has failed. A
        part must be used up before the next one: no process waits while it keeps others waiting.
        """
        busy: list[Job] = []
        yield self._free(jobs, busy)
        if busy:
            log.warning("another process is converting %s too: waiting for it", _in_words(busy))
        for job in busy:
            self._lock(job, wait=True)
            yield self._free([job], [])

    def release(self, job: Job) -> None:
        """Release a job, so that others may make it, or see that it is there."""
        with suppress(OSError):  # not every file system has locks
            unlock(self.file, at=_place(job.name))
            if job.part is not None:
                unlock(self.file, at=_place_of_part(job))

    @contextmanager
    def whole(self, job: Job, *, wait: bool) -> Iterator[bool]:
        """Exchange the claim on a part for that on the whole; yield whether it was free.

        Of those who make parts at the same time, the last one who asks gets it, and finds all that
        the others made; with `wait`, each one does in turn.
        """
        if job.part is None:
            yield True
            return
        self.release(job)
        whole = replace(job, part=None)
        held = self._lock(whole, wait=wait)
        try:
            yield held
        finally:
            if held:
                self.release(whole)

    def tidy(self, jobs: Iterable[Job]) -> None:
        """Remove segments of clips that are finished: a kill may have come between the two."""
        for job in jobs if not self.overwrite else ():
            left = parts_of(job.target) if is_video(job.source) and job.is_done else []
            if left and self._lock(job):
                for folder in left:
                    shutil.rmtree(folder)
                self.release(job)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold the lock of the file `name` in the folder, after waiting for other processes."""
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
        place = _place(job.name)
        try:
            if job.part is None:
                return lock(self.file, wait=wait, at=place)
            if not lock(self.file, shared=True, wait=wait, at=place):
                return False
            if lock(self.file, wait=wait, at=_place_of_part(job)):
                return True
            unlock(self.file, at=place)
        except OSError:  # as above
            return True
        return False


@contextmanager
def claims(folder: Path, *, overwrite: bool) -> Iterator[Claims]:
    """Open the claims on what is made in `folder`. Raises UserError if it can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _present(folder / LOCK)
    except FileExistsError:
        raise UserError(f"--output {folder}: can't be written (Not a directory)") from None
    except OSError as error:
        raise UserError(f"--output {folder}: can't be written ({in_words(error)})") from error
    with file:
        try:
            yield Claims(file, overwrite)
        finally:
            _remove_unless_shared(file, folder / LOCK)


def _present(path: Path) -> IO[bytes]:
    """Open the folder's lock file; its first byte is locked by all who use it."""
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
    """Return the byte that stands for an output; the first byte stands for the folder."""
    return 1 + int.from_bytes(sha256(os.fsencode(name)).digest()[:7], "big")


def _place_of_part(job: Job) -> int:
    assert job.part is not None
    return _place(job.name / f"{job.part.first}-{job.part.end}")  # below a file there is no other


def _in_words(jobs: Sequence[Job]) -> str:
    more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return f"{jobs[0].target}{more}"
