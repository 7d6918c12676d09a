"""Which images a folder holds."""

import os
from collections.abc import Iterator, Set
from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.images import EXTENSIONS
from cyclegan.images.formats import is_image


def list_images(folder: Path, extensions: Set[str] = EXTENSIONS) -> list[Path]:
    """All images below `folder`, sorted by path; links to folders are followed once.

    A file stands for itself. Raises UserError where there is none, or the folder holds no image.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    images = sorted(_walk(folder, extensions), key=str)
    if not images:
        raise UserError(
            f"{folder}: holds no images ({', '.join(sorted(e[1:] for e in extensions))})"
        )
    return images


def _walk(folder: Path, extensions: Set[str]) -> Iterator[Path]:
    entered = {folder.resolve()}
    for root, folders, files in os.walk(folder, followlinks=True):
        here = Path(root)
        folders[:] = [name for name in sorted(folders) if _enters(here / name, entered)]
        for name in files:
            # Names that start with a dot are a system's own (macOS writes ._photo.jpg).
            taken = Path(name).suffix.lower() in extensions or is_image(here / name)
            if taken and not name.startswith("."):
                yield here / name


def _enters(folder: Path, entered: set[Path]) -> bool:
    """Whether `folder` is new; a link that leads back up would never end."""
    target = folder.resolve()
    if target in entered:
        return False
    entered.add(target)
    return True
