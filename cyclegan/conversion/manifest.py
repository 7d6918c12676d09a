"""`manifest.jsonl` in the output folder: what was made of what, by which model and options."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """One finished picture."""

    output: str
    """name within the output folder"""
    input: str
    input_size: int
    """bytes"""
    input_time: int
    """nanoseconds, of the input's last change"""
    made_by: str
    """digest of model and options"""

    @classmethod
    def of(cls, source: Path, name: Path, made_by: str) -> "Entry":
        """The entry of `source` as it is now."""
        state = source.stat()
        return cls(
            name.as_posix(), str(source.resolve()), state.st_size, state.st_mtime_ns, made_by
        )


def read(folder: Path) -> dict[str, Entry]:
    """The last entry of each output; half a line, left by a kill, is passed over."""
    return {entry.output: entry for entry in _entries(folder / NAME)}


def append(folder: Path, entry: Entry) -> None:
    """Add a finished picture."""
    path = folder / NAME
    cut = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")  # half a line, of a kill
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut else "") + json.dumps(asdict(entry)) + "\n")


def _entries(path: Path) -> Iterator[Entry]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield Entry(**json.loads(line))
        except (ValueError, TypeError):
            continue
