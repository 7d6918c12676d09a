"""The pictures that a `--list` file names, as people, scripts and spreadsheets write them."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from cyclegan.errors import UserError
from cyclegan.text import read_text, without_bytes

_LINE_ENDS = re.compile(r"\r\n|\n|\r")  # str.splitlines also parts at letters of names
_HEADING = re.compile(r"file|path|name|image|img|photo|picture|source|video|frame", re.IGNORECASE)
_ENDING = re.compile(r"\.\w{2,5}$")
_QUOTES = ('"', "'", "`")


def listed(source: Path, file: Path) -> list[Path]:
    """Return the files below `source` that the lines of `file` name, each once, in their order.

    A line may hold a path within `source` or an absolute one, quoted or not, with slashes of either
    kind, as a cell of a table, and behind it a comment. What isn't there is returned, too: it fails
    as a picture does. Raises UserError, naming the file and the line.
    """
    if not file.exists():
        raise UserError(f"--list {file}: no such file")
    found: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for number, line in enumerate(_LINE_ENDS.split(read_text(file)), 1):
        given = _there(source, line)
        if given is None:
            given = _meant(line)
            if given is None or (not found and not missing and _is_heading(line)):
                continue
            missing.setdefault(given, f"line {number}: {given}")
        path = _below(source, given)
        if path is None:
            raise UserError(f"--list {file}: line {number}: {given} is not below {source}")
        found.setdefault(os.path.realpath(path), path)
    if not found:
        raise UserError(f"--list {file}: names no images")
    if len(missing) == len(found):
        first = next(iter(missing.values()))
        raise UserError(f"--list {file}: nothing that it names is in {source} ({first})")
    return list(found.values())


def _there(source: Path, line: str) -> str | None:
    """The reading of a line that names a file which is there, the most literal first."""
    readings = (reading for reading in _readings(line) if reading)
    return next((each for each in readings if os.path.isfile(source / each)), None)  # noqa: PTH113


def _readings(line: str) -> Iterator[str]:
    plain = line.strip()
    for text in dict.fromkeys((line, plain, *_cells(plain), plain.partition(" #")[0].strip())):
        bare = _unquoted(text)
        for spelling in dict.fromkeys((text, bare, bare.replace("\\", "/"))):
            for name in dict.fromkeys((spelling, without_bytes(spelling))):
                yield name
                yield from (normalize(form, name) for form in _FORMS)


#: Systems spell letters with accents in one of two ways, a list perhaps in the other.
_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def _meant(line: str) -> str | None:
    """The name on a line whose file isn't there; None where the line is empty or a comment."""
    plain = line.strip()
    if not plain or plain.startswith("#"):
        return None
    texts = [_unquoted(text) for text in (plain.partition(" #")[0].strip(), *_cells(plain))]
    name = next(filter(_ENDING.search, texts), texts[0])
    return without_bytes(name).replace("\\", "/")


def _is_heading(line: str) -> bool:
    """Whether a table's first line says what its columns hold."""
    cells = _cells(line.strip()) or [line.strip()]
    return any(map(_HEADING.search, cells)) and not any(map(_ENDING.search, cells))


def _cells(line: str) -> list[str]:
    """Of a table's row; none where the line is no row."""
    for delimiter in ("\t", ";", ","):
        if delimiter in line:
            try:
                (row,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
            except (csv.Error, ValueError):  # a quote without an end, or a very long cell
                continue
            return [cell.strip() for cell in row]
    return []


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES
    return text[1:-1].strip() if quoted else text


def _below(source: Path, given: str) -> Path | None:
    """The same file by its path within `source`; None where it lies elsewhere."""
    named = source / given
    for whole in (os.path.abspath, os.path.realpath):
        path, root = Path(whole(named)), Path(whole(source))
        if path != root and path.is_relative_to(root):
            return source / path.relative_to(root)
    return None
