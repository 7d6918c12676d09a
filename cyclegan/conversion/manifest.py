"""The manifest of an output folder, `manifest.jsonl`: input, model and options of each output."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from cyclegan.execution.execution import Precision
from cyclegan.locks import lock
from cyclegan.plain import json_lines

log = logging.getLogger(__name__)
NAME = "manifest.jsonl"


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
    """that reading, the network and putting together took"""
    error: str | None = None
    precision: Precision | None = None
    """that the generator was computed in; None of older versions"""
    compiled: bool = False


def read(folder: Path) -> dict[str, Entry]:
    """Return the last entry of each output; damaged lines are warned about and skipped."""
    entries = list(_entries(folder / NAME))
    lost = entries.count(None)
    if lost:
        log.warning(
            "%s: %d damaged lines: of what they tell, nothing is known; --overwrite makes it again",
            *(folder / NAME, lost),
        )
    return {entry.output: entry for entry in entries if entry is not None}


def computed(folder: Path, made_by: str) -> Entry | None:
    """Return the last entry of the same model and options that tells how it was computed."""
    found = None
    for entry in _entries(folder / NAME):
        if entry is not None and entry.origin.made_by == made_by and entry.precision is not None:
            found = entry
    return found


def append(folder: Path, *entries: Entry) -> None:
    """Append entries; the lines of several processes stay whole."""
    lines = "".join(f"{_line(entry)}\n" for entry in entries)
    with (folder / NAME).open("a+b") as file:
        with suppress(OSError):  # not every file system has locks; let go of when closed
            lock(file, wait=True)
        file.write(f"{'' if _ends_whole(file) else chr(10)}{lines}".encode())


def _line(entry: Entry) -> str:
    """Return an entry as a line of JSON; plain values need no deep copy."""
    content = dict(vars(entry))
    return json.dumps(content | vars(content.pop("origin")))


def _ends_whole(file: IO[bytes]) -> bool:
    """Return whether the last line is whole: a kill may have left half of it."""
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


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
