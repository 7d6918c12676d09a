"""Kinds of weight files, told by their content: integrity checks, programs, and no weights."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan.errors import UserError

#: How deep tables and lists may lie in each other, and how many values there may be in all.
DEPTH, VALUES = 64, 300_000
#: How many times its size a file's tensors may take: weights that are tied appear twice.
UNFOLDED = 4


class ArchiveError(Exception):
    """An archive not as torch writes it, or changed since; the message says how that shows."""


def is_archive(path: Path) -> bool:
    """Return whether torch reads `path` as an archive; files of old versions are bare pickles."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def check_records(path: Path, *, data: bool) -> None:
    """Verify the checksums of an archive's records; tensors are included only with `data`.

    Raises ArchiveError if one differs, or if a record is compressed, appears twice or reaches
    beyond the file: memory and time are bounded by the size of the file.
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
    """Raise ArchiveError if the content of `path` would unfold to far more than the file's size."""
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
    """Read a record to its end, which verifies its checksum. Raises BadZipFile."""
    with archive.open(record) as stream:
        while stream.read(_PIECE):
            pass


_PIECE = 1 << 20


def _values(content: Any) -> Iterator[tuple[Any, int]]:
    """Yield every value within `content`, as often as it is referred to, and its depth."""
    waiting = [(content, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, Mapping):
            waiting += ((each, depth + 1) for each in (*value.keys(), *value.values()))
        elif isinstance(value, Sequence | set) and not isinstance(value, str | bytes | bytearray):
            waiting += ((each, depth + 1) for each in value)


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's copy. Raises ArchiveError if more than were stored."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise ArchiveError("a tensor is sparse or has no values")
    if tensor.ndim > _MOST_DIMENSIONS:
        raise ArchiveError(f"a tensor has {tensor.ndim} dimensions")
    if tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ArchiveError(f"a tensor {tuple(tensor.shape)} repeats fewer values than it claims")
    return tensor.nbytes


_MOST_DIMENSIONS = 64  # that torch computes with


#: Files that are programs, by the endings that their contents call for: opening one runs whatever
#: it says. torch.jit.load executes TorchScript, whose operators write files; torch.export.load
#: evaluates texts as Python.
PROGRAMS = {".torchscript": "TorchScript", ".pt2": "a torch.export file"}

SAFE = "checkpoints, .pth, .safetensors, .onnx and OpenVINO's .xml hold no code"


def ending_of(path: Path) -> str:
    """Return the ending that a file's content calls for; its own if the content says nothing.

    A missing file goes by its name. Raises OSError if the file can't be read.
    """
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(_START)
        if start.startswith(b"PK\x03\x04"):
            return _of_archive(path)
        if _is_safetensors(start, path):
            return ".safetensors"
    return path.suffix.lower()


def check_trust(path: Path, *, trust_code: bool) -> None:
    """Raise UserError if `path` is a program and `trust_code` is not set."""
    program = PROGRAMS.get(ending_of(path))
    if program is not None and not trust_code:
        raise UserError(
            f"{path}: {program}, a program that can do anything on this machine once opened: give "
            f"--trust_code (in Python trust_code=True) if you trust who made it; {SAFE}"
        )


def other_than_weights(path: Path) -> str | None:
    """Return what a file is that can't be weights, with the way out; None if nothing shows it."""
    with path.open("rb") as file:
        start = file.read(_START)
    if _is_safetensors(start, path):  # whose first byte may be anything
        return None
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16, of which every other byte is 0
    plain = start[2:].replace(b"\0", b"") if wide else start.removeprefix(b"\xef\xbb\xbf")
    plain = plain.lstrip().lower()
    told = next((told for sign, told in _OTHERS.items() if plain.startswith(sign)), None)
    if plain.startswith(b"<?xml") and (b"<error" in plain or b"<html" in plain):
        told = _PAGE  # a network of OpenVINO is XML, too
    if told is None and start.startswith(b"PK\x03\x04") and _is_foreign_archive(path):
        return "a zip archive of other files: unpack it, and give the weights in it"
    return told


_START = 512  # bytes
_PAGE = "a web page, not weights: the download got an error page"
_PICTURE = "an image, not weights"
_PACKED = "a packed archive: unpack it, and give the weights in it"
#: How files begin that are often called .pth, without white space and in small letters.
_OTHERS = {
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
    b"<head": _PAGE,
    b"<meta": _PAGE,
    b"<body": _PAGE,
    b"<!--": _PAGE,
    b"<error": _PAGE,
    b"404": _PAGE,
    b"not found": _PAGE,
    b"entry not found": _PAGE,
    b"access denied": _PAGE,
    b"version https://git-lfs": "a Git LFS pointer, not weights: git lfs pull fetches them",
    b"/annex/objects": "a git-annex pointer, not weights: git annex get fetches them",
    b"{": "JSON, not weights: settings, or a server's response",
    b"[": "JSON, not weights: settings, or a server's response",
    b"\x89png": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,
    b"gif8": _PICTURE,
    b"%pdf": "a PDF, not weights",
    b"\x1f\x8b": _PACKED,
    b"bzh": _PACKED,
    b"\xfd7zxz": _PACKED,
    b"7z\xbc\xaf": _PACKED,
    b"rar!": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,
    b"\x89hdf": "an HDF5 file (Keras): only PyTorch weights can be loaded",
}


def _is_safetensors(start: bytes, path: Path) -> bool:
    """Return whether a file begins with the length of a table, and the table."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _names_in(path: Path) -> list[str] | None:
    """Return the names in a zip archive; None if it is cut, or of a later kind than Python's."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None


def _is_foreign_archive(path: Path) -> bool:
    """Return whether a zip archive holds nothing that torch writes."""
    names = _names_in(path)
    return names is not None and not any(
        name.endswith((".pkl", "models/model.json", "archive_format")) for name in names
    )


def _of_archive(path: Path) -> str:
    """Return the ending of a zip archive: torch writes weights, TorchScript and graphs as such."""
    names = _names_in(path)
    if names is None:  # the reader says so
        return path.suffix.lower()
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or _any_below(inner, "code/"):
        return ".torchscript"
    if "archive_format" in inner or _any_below(inner, "models/", "data/aotinductor/"):
        return ".pt2"
    if "serialized_exported_program.json" in {*inner, *names}:  # of torch before 2.8
        return ".pt2"
    return ".pth"


def _any_below(names: Iterable[str], *folders: str) -> bool:
    return any(name.startswith(folders) for name in names)
