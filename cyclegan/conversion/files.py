"""Which file becomes which."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cyclegan.conversion.settings import Format
from cyclegan.data.folders import list_images
from cyclegan.errors import UsageError, UserError
from cyclegan.images import WRITABLE


@dataclass(frozen=True)
class Job:
    """One picture to convert."""

    source: Path
    target: Path
    name: Path
    """of the target within the output folder"""


def plan(source: Path, output: Path, format: Format | None) -> list[Job]:
    """Pair every image below `source` (or `source` itself) with its place below `output`.

    The output mirrors the input; two inputs that would share a name keep their own ending within
    it (a.jpg.png). Raises UserError where there is nothing to convert, or no place for it.
    """
    if source.is_file():
        root, found = source.parent, [source]
    elif source.is_dir():
        root, found = source, _outside(list_images(source), source, output)
    else:
        raise UserError(f"--input {source}: no such file or folder")
    if output.resolve() == root.resolve():
        raise UsageError(f"--output {output} is the input folder itself: give another folder")
    if output.is_file():
        raise UsageError(f"--output {output} is a file: give a folder")
    relative = [path.relative_to(root) for path in found]
    names = _distinct(relative, format)
    jobs = [Job(path, output / name, name) for path, name in zip(found, names, strict=True)]
    sources = {path.resolve() for path in found}
    for job in jobs:
        if job.target.resolve() in sources:
            raise UsageError(f"--output {output}: {job.target} is an input: give another folder")
    return jobs


def _outside(found: list[Path], source: Path, output: Path) -> list[Path]:
    """Leave out what an earlier run wrote to an output folder within the input folder."""
    inside = output.resolve()
    if not inside.is_relative_to(source.resolve()):
        return found
    return [path for path in found if not path.resolve().is_relative_to(inside)]


def _distinct(inputs: list[Path], format: Format | None) -> list[Path]:
    names = [path.with_suffix(_suffix(path, format)) for path in inputs]
    while len(set(names)) < len(names):
        shared = {name for name, uses in Counter(names).items() if uses > 1}
        names = [
            path.with_name(path.name + _suffix(path, format)) if name in shared else name
            for path, name in zip(inputs, names, strict=True)
        ]
    return names


def _suffix(path: Path, format: Format | None) -> str:
    """The ending to write: the input's own, spelt as it is, where that format is asked for."""
    if format is None:
        return path.suffix if path.suffix.lower() in WRITABLE else ".png"
    same = {"jpg": {".jpg", ".jpeg"}}.get(format, {f".{format}"})
    return path.suffix if path.suffix.lower() in same else f".{format}"
