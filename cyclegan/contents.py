"""What a file of weights is by its content, whatever it is called."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from cyclegan.errors import UserError

#: Files that are programs, by the endings that their contents call for: opening one runs whatever
#: it says. torch.jit.load executes TorchScript, whose operators write files; torch.export.load
#: evaluates texts as Python.
PROGRAMS = {".torchscript": "TorchScript", ".pt2": "a torch.export file"}

SAFE = "checkpoints, .pth, .safetensors, .onnx and OpenVINO's .xml hold no code"


def ending_of(path: Path) -> str:
    """The ending that a file's content calls for; its own where the content says nothing.

    A file that is missing goes by its name. Raises OSError where it can't be read.
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
    """Raise UserError where `path` is a program that nobody said to trust."""
    program = PROGRAMS.get(ending_of(path))
    if program is not None and not trust_code:
        raise UserError(
            f"{path}: {program}, a program that can do anything here once it is opened: give "
            f"--trust_code (in Python trust_code=True) if you trust who made it; {SAFE}"
        )


def other_than_weights(path: Path) -> str | None:
    """What a file is that can't be weights, with the way out; None where nothing shows it."""
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
_PAGE = "a page of the web and no weights: what it was fetched from answered with an error"
_PICTURE = "a picture and no weights"
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
    b"version https://git-lfs": "a pointer of Git LFS and no weights: git lfs pull fetches them",
    b"/annex/objects": "a pointer of git-annex and no weights: git annex get fetches them",
    b"{": "JSON and no weights: settings, or the answer of a server",
    b"[": "JSON and no weights: settings, or the answer of a server",
    b"\x89png": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,
    b"gif8": _PICTURE,
    b"%pdf": "a PDF and no weights",
    b"\x1f\x8b": _PACKED,
    b"bzh": _PACKED,
    b"\xfd7zxz": _PACKED,
    b"7z\xbc\xaf": _PACKED,
    b"rar!": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,
    b"\x89hdf": "an HDF5 file (Keras): only weights of PyTorch can be loaded",
}


def _is_safetensors(start: bytes, path: Path) -> bool:
    """Whether it begins with the length of a table, and the table."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _names_in(path: Path) -> list[str] | None:
    """Return the names in a zip archive; None where it is cut, or of a later kind than Python's."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None


def _is_foreign_archive(path: Path) -> bool:
    """Whether it holds nothing that torch writes."""
    names = _names_in(path)
    return names is not None and not any(
        name.endswith((".pkl", "models/model.json", "archive_format")) for name in names
    )


def _of_archive(path: Path) -> str:
    """Torch writes plain weights, TorchScript and graphs into zip archives alike."""
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
