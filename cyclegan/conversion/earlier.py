"""What earlier conversions made among the pictures that are to be converted."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cyclegan.conversion import manifest

log = logging.getLogger(__name__)


def without_earlier(found: Sequence[Path], source: Path, output: Path) -> list[Path]:
    """Leave out of what is `found` below `source` what this or another run made there.

    That is what lies in the output folder, and what any folder's manifest names. A whole folder of
    outputs may be converted again: it is the input then. Says in one line what is left out.
    """
    inside, root = os.path.realpath(output), os.path.realpath(source)
    ours = Path(inside) if Path(inside).is_relative_to(root) else None
    made = {path for folder in _folders(found, source) for path in _made_in(folder, source)}
    kept = [path for path in found if not (path in made or _is_part(path) or _below(path, ours))]
    if len(kept) < len(found):
        left = [path for path in found if path not in set(kept)]
        log.warning("%s that earlier conversions made left out (%s)", _count(left), left[0].parent)
    return kept


def _folders(found: Sequence[Path], source: Path) -> set[Path]:
    """All that hold what is found, at any depth, `source` among them."""
    folders = {source}
    for folder in {path.parent for path in found}:
        while folder not in folders:
            folders.add(folder)
            folder = folder.parent
    return folders


def _made_in(folder: Path, source: Path) -> Iterator[Path]:
    """The outputs that a folder's manifest names.

    Of `source` itself only those that were made of its own files: others are what it is for.
    """
    root = Path(os.path.realpath(source))
    for entry in manifest.read(folder).values():
        if entry.error is None and (
            folder != source or Path(entry.origin.input).is_relative_to(root)
        ):
            yield folder / entry.output
            yield from (folder / also / entry.output for also in ("cycled", "identity"))


def _below(path: Path, folder: Path | None) -> bool:
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(folder)


def _is_part(path: Path) -> bool:
    """Whether it belongs to a clip that is not finished."""
    return path.parent.name.startswith(".") and path.parent.name.endswith(".parts")


def _count(left: Sequence[Path]) -> str:
    return "1 file" if len(left) == 1 else f"{len(left)} files"
