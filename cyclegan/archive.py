"""Bounds on the files that torch writes: what they hold is no larger than they are."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

#: How deep tables and lists may lie in each other, and how many values there may be in all.
DEPTH, VALUES = 64, 300_000
#: How many times its size a file's tensors may take: weights that are tied appear twice.
UNFOLDED = 4


class ArchiveError(Exception):
    """A file that torch did not write so, or that changed since; its text says how that shows."""


def is_archive(path: Path) -> bool:
    """Whether torch would read `path` as an archive; files of old versions are bare pickles."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def check_records(path: Path, *, data: bool) -> None:
    """Compare the checksums of an archive's records, those of tensors only with `data`.

    Raises ArchiveError where one differs, or where a record is compressed, appears twice or
    reaches beyond the file: memory and time are bounded by the size of the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_table(archive, path.stat().st_size)
            for record in archive.infolist():
                if data or "/data/" not in record.filename:
                    _check_sum(archive, record)
    except ArchiveError:
        raise
    except OSError:
        raise
    except Exception as error:  # of a damaged table zipfile makes nearly anything
        raise ArchiveError(str(error) or type(error).__name__) from error


def check_content(content: Any, path: Path) -> None:
    """Raise ArchiveError where what was read from `path` would unfold to far more than it."""
    size = path.stat().st_size
    total = 0
    for count, (value, depth) in enumerate(_values(content)):
        if depth > DEPTH or count > VALUES:
            raise ArchiveError(f"more than {VALUES} values, or {DEPTH} tables within each other")
        if isinstance(value, Tensor):
            total += _bytes(value)
    if total > UNFOLDED * size:
        raise ArchiveError(f"its tensors claim {total} bytes in a file of {size}")


def _check_table(archive: zipfile.ZipFile, size: int) -> None:
    records = archive.infolist()
    names = [record.filename for record in records]
    if len(set(names)) < len(names):
        raise ArchiveError("a record appears twice")
    for record in records:
        name = record.filename
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise ArchiveError(f"record {name} is compressed, which torch never does")
        if record.header_offset + record.file_size > size:
            raise ArchiveError(f"record {name} reaches beyond the file")
    if sum(record.file_size for record in records) > size:
        raise ArchiveError("its records overlap")


def _check_sum(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    """Reading to the end compares it. Raises BadZipFile."""
    with archive.open(record) as stream:
        while stream.read(_PIECE):
            pass


_PIECE = 1 << 20


def _values(content: Any) -> Iterator[tuple[Any, int]]:
    """Every value within `content`, as often as it is referred to, and how deep it lies."""
    waiting = [(content, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, Mapping):
            waiting += ((each, depth + 1) for each in (*value.keys(), *value.values()))
        elif isinstance(value, Sequence | set) and not isinstance(value, str | bytes | bytearray):
            waiting += ((each, depth + 1) for each in value)


def _bytes(tensor: Tensor) -> int:
    """Memory of a copy. Raises ArchiveError where that is more than what was stored of it."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise ArchiveError("a tensor is sparse or has no values")
    if tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ArchiveError(f"a tensor {tuple(tensor.shape)} repeats fewer values than it claims")
    return tensor.nbytes
