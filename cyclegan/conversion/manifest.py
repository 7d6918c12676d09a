"""The manifest of an output folder, `manifest.jsonl`: input, model and options of each output.

Each shard of a conversion has one of its own until all are joined; readers read all of them.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from cyclegan.atomic import atomic_write, lock
from cyclegan.conversion.shards import Shard
from cyclegan.execution.execution import Precision
from cyclegan.plain import json_lines

log = logging.getLogger(__name__)
NAME = "manifest.jsonl"
_OF_SHARDS = "manifest-*-of-*.jsonl"


def name_of(shard: Shard | None) -> str:
    """Return the name of a shard's manifest; of the whole's for None."""
    return NAME if shard is None else f"manifest-{shard.number}-of-{shard.count}.jsonl"


@dataclass(frozen=True)
class Origin:
    """The input, model and options of an output; the same origin need not be made again."""

    input: str
    input_size: int
    """bytes"""
    input_time: int
    """nanoseconds, of the input's last change"""
    made_by: str
    """digest of model and options"""

    @classmethod
    def of(cls, source: Path, made_by: str) -> "Origin":
        """Return the origin of an output that is made of `source` as it is now."""
        state = source.stat()
        return cls(os.path.realpath(source), state.st_size, state.st_mtime_ns, made_by)


@dataclass(frozen=True)
class Entry:
    """The manifest's entry of one picture that was converted, or could not be."""

    output: str
    """name within the output folder"""
    origin: Origin
    checkpoint: str
    """digest of the generator's weights"""
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    """total for reading, network and assembly"""
    error: str | None = None
    precision: Precision | None = None
    """of the generator; None in older versions"""
    compiled: bool = False


def read(folder: Path) -> dict[str, Entry]:
    """Return the last entry of each output; damaged lines are warned about and skipped."""
    found: dict[str, Entry] = {}
    for path, entries in _all(folder):
        lost = entries.count(None)
        if lost:
            log.warning(
                "%s: %d damaged lines, their entries are lost; --overwrite rewrites it",
                *(path, lost),
            )
        found |= {entry.output: entry for entry in entries if entry is not None}
    return found


def computed(folder: Path, made_by: str) -> Entry | None:
    """Return the last entry of the same model and options that tells how it was computed."""
    found = None
    for entry in (entry for _, entries in _all(folder) for entry in entries):
        if entry is not None and entry.origin.made_by == made_by and entry.precision is not None:
            found = entry
    return found


def append(folder: Path, *entries: Entry, name: str = NAME) -> None:
    """Append entries; the lines of several processes stay whole."""
    lines = "".join(f"{_line(entry)}\n" for entry in entries)
    with _alone(folder / name) as (file, locked):
        _end_whole(file, cut=locked)
        file.write(lines.encode())


def paths(folder: Path) -> list[Path]:
    """Return the manifests of shards, the last changed one last, and behind them the whole's."""
    times: dict[Path, int] = {}
    for path in sorted(folder.glob(_OF_SHARDS)):
        with suppress(FileNotFoundError):  # joined just now
            times[path] = path.stat().st_mtime_ns
    whole = [folder / NAME] if (folder / NAME).exists() else []
    return sorted(times, key=times.__getitem__) + whole


@contextmanager
def joined(folder: Path) -> Iterator[int]:
    """Join the manifests of shards with the whole's; yield how many there were.

    They are removed when this is left without an error: a kill before leaves only lines that are
    there twice, and the next one drops these. Call it in one process at a time.
    """
    with ExitStack() as held:
        parts = [path for path in paths(folder) if path.name != NAME]
        if not parts:
            yield 0
            return
        files = {path: held.enter_context(_alone(path))[0] for path in (*parts, folder / NAME)}
        order = sorted(files, key=lambda path: path.stat().st_mtime_ns)
        lines = [line for path in order for line in _whole_lines(files[path])]
        with atomic_write(folder / NAME) as unfinished:
            unfinished.write_bytes(b"".join(reversed(dict.fromkeys(reversed(lines)))))
        yield len(parts)
        for path in parts:
            path.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """Open a manifest, and tell whether it is locked, as not every file system has locks.

    One that was joined while this waited is begun anew.
    """
    while True:
        with path.open("a+b") as file:
            try:
                lock(file, wait=True)  # released when closed
            except OSError:
                yield file, False
                return
            if _is_at(file, path):
                yield file, True
                return


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _whole_lines(file: IO[bytes]) -> list[bytes]:
    file.seek(0)
    return [line for line in file if line.endswith(b"\n")]


def _line(entry: Entry) -> str:
    """Return an entry as a line of JSON; plain values need no deep copy."""
    content = dict(vars(entry))
    return json.dumps(content | vars(content.pop("origin")))


def _end_whole(file: IO[bytes], *, cut: bool) -> None:
    """Cut off half of a line, which a kill or a full disk may have left; end a whole one.

    Without `cut` half of one is ended, too: another process may be writing it.
    """
    start = max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE)
    file.seek(start)
    _, found, last = file.read().rpartition(b"\n")
    if not last:
        return
    try:
        json.loads(last)
        whole = True
    except ValueError:
        whole = not cut or bool(start and not found)  # longer than any that is written here
    if whole:
        file.write(b"\n")
    else:
        file.truncate(file.tell() - len(last))


_LONGEST_LINE = 1 << 16  # bytes


def _all(folder: Path) -> list[tuple[Path, list[Entry | None]]]:
    """Return the entries of all manifests, those of the last changed one last.

    The whole's is read last: it holds the entries of shards that were joined meanwhile.
    """
    found = []
    for path in paths(folder):
        with suppress(FileNotFoundError):  # joined just now
            found.append((path.stat().st_mtime_ns, path, list(_entries(path))))
    return [(path, entries) for _, path, entries in sorted(found, key=lambda one: one[0])]


def _entries(path: Path) -> Iterator[Entry | None]:
    """Yield the entry of each line; None for one that is damaged."""
    return (_entry(line) for line in json_lines(path, names=True))


def _entry(line: object) -> Entry | None:
    if not isinstance(line, dict):
        return None
    names = Origin.__dataclass_fields__
    content: dict[str, object] = {key: line[key] for key in line.keys() - names.keys()}
    try:
        return _ADAPTER.validate_python(
            content | {"origin": {key: line[key] for key in line.keys() & names.keys()}}
        )
    except ValidationError:
        return None


_ADAPTER = TypeAdapter(Entry)
