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
        if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
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


_START = 512  # bytes


def _of_archive(path: Path) -> str:
    """Torch writes plain weights, TorchScript and graphs into zip archives alike."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # cut: the reader says so
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
