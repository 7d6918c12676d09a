"""Where the images of a data set may be instead of where they are looked for."""

from collections.abc import Iterator
from pathlib import Path


def domain_names(a: Path, b: Path) -> tuple[str, str]:
    """Return what the domains in two folders are called: the last of their names that differ.

    A data set's name, vangogh2photo, tells nothing: copies of it with the sides swapped go about.
    """
    differing = ((x, y) for x, y in zip(a.parts[::-1], b.parts[::-1], strict=False) if x != y)
    return next(differing, ("A", "B"))


def instead_of(folder: Path) -> str:
    """What is there instead of a folder such as DIR/trainA, with the way out; empty if nothing."""
    phase, domain = folder.name[:-1], folder.name[-1:]
    if domain not in ("A", "B") or phase not in ("train", "test"):
        return ""
    root = folder.parent
    for place in _deeper(root, folder.name):
        return f": there is {place}: give --dataroot {place.parent}"
    for place in _spelt(root, phase, domain):
        return f": there is {place}: rename it to {folder.name}, or give --domain_{domain} {place}"
    return ""


def _deeper(root: Path, name: str) -> Iterator[Path]:
    """A level below, and above where the folder itself was given for that of the data set."""
    if root.is_dir():
        yield from (below / name for below in _folders(root) if (below / name).is_dir())
    for above in (root.parent, root.parent.parent):
        if root.resolve() != above.resolve() and (above / name).is_dir():
            yield above / name


def _spelt(root: Path, phase: str, domain: str) -> Iterator[Path]:
    """trainA as others call it."""
    plain = f"{phase}{domain}".lower()
    for below in _folders(root):
        if "".join(filter(str.isalnum, below.name.lower())) in (plain, f"{domain}{phase}".lower()):
            yield below
    for below in _folders(root):
        if below.name.lower() == domain.lower():
            yield next((one for one in _folders(below) if one.name.lower() == phase), below)
        if below.name.lower() == phase:
            yield from (one for one in _folders(below) if one.name.lower() == domain.lower())


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []
