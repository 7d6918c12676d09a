"""Folders behind URLs (s3://, gs://, http://, memory:// ...), through fsspec.

A local folder mirrors each: for files that are not here it holds empty files of the same names,
sizes and times, so that all that is decided by names, sizes and times needs no network. Pictures
are fetched and delivered a few at a time.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from cyclegan.atomic import UNFINISHED, hidden_name
from cyclegan.conversion import Locations, manifest
from cyclegan.data.cache import user_folder
from cyclegan.errors import UserError, in_words, require_extra
from cyclegan.progress import waiting

log = logging.getLogger(__name__)
_FETCHING, _DELIVERING = Lock(), Lock()
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}([^/].*|/.+)")  # a Path keeps one slash of two


class LocalStorage:
    """Storage whose input and output are local folders: nothing is to be transferred."""

    sees_others = True
    """whether outputs of other processes are seen while this one converts"""

    def begin(self, notes: str) -> None:
        """Prepare for the first output, which is noted in the manifest of the name `notes`.

        Raises UserError if nothing can be delivered.
        """

    def fetch(self, source: Path) -> None:
        """Fetch `source` before it is read."""

    def drop(self, source: Path) -> None:
        """Drop the content of `source` after it was converted."""

    def deliver(self, made: Path) -> None:
        """Deliver `made` after it was written."""


@dataclass(frozen=True)
class RemoteFolder:
    """A folder behind a URL, and the local folder that mirrors it."""

    url: str
    files: Any
    """fsspec's file system"""
    root: str
    local: Path

    @classmethod
    def open(cls, url: str, what: str) -> "RemoteFolder":
        """Open the URL of `--input` or `--output` (`what`). Raises UserError."""
        require_extra(f"--{what} {url}", "remote", "fsspec")
        import fsspec

        try:
            files, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise UserError(f"--{what} {url}: {error}") from None
        key = sha256(f"{what} {url}".encode()).hexdigest()[:16]
        local = user_folder("remote") / key
        local.mkdir(parents=True, exist_ok=True)
        return cls(url.rstrip("/"), files, root.rstrip("/"), local)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the local mirror. Raises UserError if another process uses it.

        The system releases the lock when the process ends, however it ends.
        """
        import filelock

        held = filelock.FileLock(self.local.with_suffix(".filelock"), timeout=0)
        try:
            held.acquire()
        except filelock.Timeout:
            raise UserError(
                f"{self.url}: in use by another conversion: wait until it has finished"
            ) from None
        try:
            yield
        finally:
            held.release()

    def mirror(self) -> int:
        """Make a local stand-in for each remote file, and remove those of files that are gone.

        Returns how many files there are. Raises UserError.
        """
        try:
            self.files.invalidate_cache()
            found = self.files.find(self.root, detail=True)
        except FileNotFoundError:
            found = {}
        except Exception as error:  # every kind of storage has its own
            raise UserError(f"{self.url}: {in_words(error)}") from None
        names = {path[len(self.root) :].lstrip("/"): info for path, info in found.items()}
        for name, info in names.items():
            if name and ".." not in Path(name).parts:
                try:
                    _stand_in(self.local / name, info)
                except OSError as error:  # a long name, or one that a folder has
                    log.warning("%s/%s: skipped (%s)", self.url, name, in_words(error))
        for path in self.local.rglob("*"):
            if path.is_file() and path.relative_to(self.local).as_posix() not in names:
                path.unlink()
        return len(names)

    def get(self, path: Path) -> None:
        """Fetch a file, keeping the local time, which stands for the file's state."""
        time = path.stat().st_mtime_ns
        with self._turn(_FETCHING):
            self.files.get_file(self._there(path), str(path))
        os.utime(path, ns=(time, time))

    def put(self, path: Path) -> None:
        """Deliver a file, which appears under its name whole or never."""
        there = self._there(path)
        folder, _, name = there.rpartition("/")
        unfinished = f"{folder}/{hidden_name(name, UNFINISHED)}"
        with self._turn(_DELIVERING):
            self.files.makedirs(folder, exist_ok=True)
            self.files.put_file(str(path), unfinished)
            self.files.mv(unfinished, there)

    def get_notes(self) -> None:
        """Fetch the manifests that there are. Raises UserError."""
        for notes in manifest.paths(self.local):
            try:
                self.get(notes)
            except Exception as error:  # as above
                raise UserError(f"{self.url}/{notes.name}: {in_words(error)}") from error

    def put_notes(self, name: str) -> None:
        """Deliver the manifest of that name, if there is one. Raises UserError."""
        notes = self.local / name
        if not notes.exists():
            return
        try:
            self.put(notes)
        except Exception as error:  # as above
            raise UserError(f"--output {self.url}: can't be written ({in_words(error)})") from error

    def _turn(self, lock: Lock) -> AbstractContextManager[object]:
        """Return the lock to hold: storage of most kinds serves one thread at a time."""
        return nullcontext() if self.files.async_impl else lock

    def _there(self, path: Path) -> str:
        return f"{self.root}/{path.relative_to(self.local).as_posix()}"


class RemoteStorage(LocalStorage):
    """Storage whose folders are behind URLs; None is a local folder."""

    def __init__(self, source: RemoteFolder | None, target: RemoteFolder | None) -> None:
        self._source, self._target = source, target
        self.sees_others = target is None

    def begin(self, notes: str) -> None:
        """Deliver the manifest, as a trial. Raises UserError."""
        if self._target is not None:
            (self._target.local / notes).touch()
            self._target.put_notes(notes)

    def fetch(self, source: Path) -> None:
        """Fetch the content of `source`. Raises UserError."""
        if self._source is not None:
            try:
                self._source.get(source)
            except Exception as error:
                raise UserError(f"{self._source.url}/{source.name}: {in_words(error)}") from error

    def drop(self, source: Path) -> None:
        """Leave only the stand-in of `source`."""
        if self._source is not None and source.exists():
            state = source.stat()
            _empty(source, state.st_size, state.st_mtime_ns)

    def deliver(self, made: Path) -> None:
        """Deliver `made`, and leave only its stand-in. Raises UserError."""
        if self._target is None:
            return
        try:
            self._target.put(made)
        except Exception as error:
            raise UserError(f"{self._target.url}/{made.name}: {in_words(error)}") from error
        state = made.stat()
        _empty(made, state.st_size, state.st_mtime_ns)


@contextmanager
def mirrored(
    locations: Locations, notes: str = manifest.NAME
) -> Iterator[tuple[Locations, LocalStorage]]:
    """Yield the locations with local folders for URLs, and the storage that transfers files.

    The manifest of the name `notes` is delivered at the end, too. Raises UserError if a URL leads
    nowhere.
    """
    source, target = (
        RemoteFolder.open(url, what) if url else None
        for what, url in (("input", url_of(locations.source)), ("output", url_of(locations.target)))
    )
    if source is None and target is None:
        yield locations, LocalStorage()
        return
    with ExitStack() as at_end:
        for folder in (source, target):
            if folder is not None:
                at_end.enter_context(folder.alone())
        if source is not None:
            with waiting(f"listing {source.url}"):
                found = source.mirror()
            if not found:
                raise UserError(f"--input {source.url}: not found, or not reachable")
            locations = replace(locations, source=source.local)
        if target is not None:
            with waiting(f"listing {target.url}"):
                target.mirror()
                target.get_notes()
            at_end.callback(target.put_notes, notes)
            locations = replace(locations, target=target.local)
        yield locations, RemoteStorage(source, target)


def url_of(path: Path) -> str | None:
    """Return the URL that `path` was given as; None if it was none."""
    match = _URL.fullmatch(path.as_posix())
    if match is None:
        return None
    root = "/" if match[1] in ("file", "local") else ""  # others have a host or a bucket first
    return f"{match[1]}://{root}{match[2]}"


def _stand_in(path: Path, info: dict[str, Any]) -> None:
    stamp = sha256(repr(sorted((key, str(value)) for key, value in info.items())).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    _empty(path, int(info.get("size") or 0), int(stamp.hexdigest()[:13], 16))


def _empty(path: Path, size: int, time: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)  # takes no room
    os.utime(path, ns=(time, time))
