"""Readers of JSON, TOML and plain text that cope with files damaged in any way."""

import codecs
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclegan.errors import UserError, in_one_line

#: Of whole numbers: nanoseconds of a file's time are below it; nothing here counts further.
LARGEST = (1 << 63) - 1
#: Tables in tables: more than any file of ours has, fewer than Python's stack bears.
DEEPEST = 50
_LONGEST = 1 << 24  # characters of a line


class DamagedTextError(ValueError):
    """A text whose content can't be used; the message is one line that says why."""


def from_json(content: bytes | str, *, names: bool = False) -> Any:
    """Parse a JSON text. Raises DamagedTextError.

    `names` accepts file names of any bytes, as `os.fsdecode` gives them, as text.
    """
    return _read(content, json.loads, names)


def from_toml(content: bytes | str) -> dict[str, Any]:
    """Parse a TOML text into its tables. Raises DamagedTextError."""
    table: dict[str, Any] = _read(content, tomllib.loads, names=False)
    return table


def json_lines(path: Path, *, names: bool = False) -> Iterator[Any]:
    """Yield the content of each line of a file, None if damaged; nothing if there is no file.

    A last line without a line end is None too: more of it was to come. `names` is as for
    `from_json`.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            try:
                yield from_json(line, names=names) if line.endswith(b"\n") else None
            except DamagedTextError:
                yield None


def check(value: Any, depth: int = 0, *, names: bool = False) -> None:
    """Raise DamagedTextError for numbers, nesting or letters that no file of ours holds."""
    if depth > DEEPEST:
        raise DamagedTextError(f"nested more than {DEEPEST} deep")
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise DamagedTextError("an integer that is too large")
    if isinstance(value, str) and not _is_text(value, names):
        raise DamagedTextError("invalid characters")
    for inner in (*value, *value.values()) if isinstance(value, dict) else ():
        check(inner, depth + 1, names=names)
    for inner in value if isinstance(value, list | tuple) else ():
        check(inner, depth + 1, names=names)


def _read(content: bytes | str, parse: Any, names: bool) -> Any:
    try:
        text = content if isinstance(content, str) else _decoded(content)
        found = parse(text)
    except RecursionError:
        raise DamagedTextError("nested too deeply") from None
    except UnicodeDecodeError:
        raise DamagedTextError("not UTF-8") from None
    except ValueError as error:  # of either reader; long numbers have one of their own
        raise DamagedTextError(in_one_line(str(error))) from None
    check(found, names=names)
    return found


def _decoded(content: bytes) -> str:
    """Decode as UTF-8, or as the byte-order mark says: editors on Windows write one."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if marked else "utf-8-sig")


def _is_text(value: str, names: bool) -> bool:
    """Return whether a string can be encoded; halves of a letter, which JSON can hold, can't."""
    halves = {sign for sign in value if "\ud800" <= sign <= "\udfff"}
    return not halves or (names and all("\udc80" <= half <= "\udcff" for half in halves))


#: Byte-order marks; the longer ones first, as one begins like another.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HEAD = 4096  # bytes that show what a file is
_LARGEST = 256 << 20  # bytes: nobody writes more by hand or by a script of names


def read_text(path: Path) -> str:
    """Return the content of a text file; bytes that are not UTF-8 are kept as by `os.fsdecode`.

    Raises UserError if the file is no text, and OSError if it can't be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        encoding = _encoding(head)
        if encoding is None:
            raise UserError(f"{path}: not a text file")
        content = head + file.read(_LARGEST)
    if len(content) > _LARGEST:
        raise UserError(f"{path}: more than {_LARGEST >> 20} MiB, too much for a text file")
    try:
        text = content.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged text: not {encoding} ({error.reason})") from None
    if "\0" in text:  # which no name can hold either
        raise UserError(f"{path}: damaged text: it holds zero bytes")
    return text


def without_bytes(text: str) -> str:
    """Return the text with bytes that were not UTF-8 decoded as Windows-1252, else as Latin-1."""
    if text.isprintable() or not any("\udc80" <= letter <= "\udcff" for letter in text):
        return text
    content = text.encode("utf-8", "surrogateescape")
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:  # five bytes stand for nothing there
        return content.decode("latin-1")


def _encoding(head: bytes) -> str | None:
    """Return the encoding, by the byte-order mark or UTF-16's zeros; None if it is no text."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return "utf-8"
    zeros = {"utf-16-be": head[0::2].count(0), "utf-16-le": head[1::2].count(0)}
    encoding = max(zeros, key=lambda name: zeros[name])
    return encoding if zeros[encoding] > 0.4 * len(head) / 2 > 2 * min(zeros.values()) else None
