"""The chain of pages in a TIFF file, which is all that says how many there are."""

import struct
from pathlib import Path
from typing import BinaryIO

_BIG = 43  # version of files with offsets of 8 bytes


def count_pages(path: Path, most: int | None = None) -> int:
    """The pages of a TIFF, in their order without repetition; `most` and one more are counted.

    Decoders load all of each page's tags to count them, which takes a hundred times as long.
    Raises OSError and struct.error where the file is cut short.
    """
    with path.open("rb") as file:
        order = "<" if file.read(2) == b"II" else ">"
        big = _number(file, f"{order}H") == _BIG
        file.seek(8 if big else 4)
        count, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
        seen: set[int] = set()
        page = _number(file, order + offset)
        while page and page not in seen and (most is None or len(seen) <= most):
            seen.add(page)
            file.seek(page)
            file.seek(entry * _number(file, order + count), 1)
            page = _number(file, order + offset)
    return len(seen)


def _number(file: BinaryIO, kind: str) -> int:
    found: int = struct.unpack(kind, file.read(struct.calcsize(kind)))[0]
    return found
