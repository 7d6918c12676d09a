"""Folders of images: their listing, what they leave out, and their names."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.images.formats import found_out, is_image

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contents:
    """The files below a folder."""

    folder: Path
    images: list[Path]
    """sorted by path"""
    others: Counter[str] = field(default_factory=Counter)
    """number of other files, by extension"""
    folders: tuple[str, ...] = ()
    """skipped system folders, or unreadable ones"""

    def left_out(self) -> str:
        """Return one line on the files that are no images; empty if none is worth telling."""
        kinds = ", ".join(
            f"{kind} {count}" for kind, count in sorted(self.others.most_common(_MOST))
        )
        more = ", ..." if len(self.others) > _MOST else ""
        count = self.others.total()
        files = f"{_counted(count, 'file')} of other kinds left out: {kinds}{more}"
        several = "" if len(self.folders) == 1 else "s"
        names = ", ".join(self.folders[:_MOST]) + (", ..." if len(self.folders) > _MOST else "")
        parts = [files] * bool(count) + [f"folder{several} left out: {names}"] * bool(self.folders)
        return "; ".join(parts)

    def tell(self) -> None:
        """Log the files that are no images."""
        if line := self.left_out():
            log.warning("%s: %s", self.folder, line)

    def check(self) -> "Contents":
        """Raise UserError if there are no images."""
        if self.images:
            return self
        there = self.left_out() or "it is empty"
        raise UserError(f"{self.folder}: holds no images ({there})")


def list_images(folder: Path, *, tell: bool = False) -> list[Path]:
    """Return all images below `folder`, sorted by path; links to folders are followed once.

    If `folder` is a file, it is the only image. With `tell`, what is left out is logged. Raises
    UserError if the folder is missing or holds no image.
    """
    contents = look_into(folder).check()
    if tell:
        contents.tell()
    return contents.images


def folder_of_test_images(train: Path) -> Path:
    """Return the folder of test images beside one of training images; `train` if there is none."""
    test = place_of_test_images(train)
    return test if _holds_images(test) else train


def place_of_test_images(train: Path) -> Path:
    """Return where test images belong, whether or not there are any: testA beside trainA."""
    return beside(train, "test")


def beside(train: Path, what: str) -> Path:
    """Return the folder of the same domain with `what` instead of train in its name: twinsA."""
    return train.with_name(train.name.replace("train", what, 1))


def _holds_images(folder: Path) -> bool:
    try:
        return bool(list_images(folder))
    except UserError:
        return False


def look_into(folder: Path, more: Set[str] = frozenset()) -> Contents:
    """List what is below `folder`; files with the endings in `more` count as images too.

    If `folder` is a file, it is the only image. Raises UserError if there is no such folder.
    """
    if folder.is_file():
        return Contents(folder, [folder])
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder{instead_of(folder)}")
    images: list[Path] = []
    others: Counter[str] = Counter()
    left: list[str] = []
    for path in _walk(folder, left):
        if _is_image(path, more):
            images.append(path)
        elif kind := _kind(path, more):
            others[kind] += 1
    return Contents(folder, sorted(images, key=str), others, tuple(left))


def _walk(folder: Path, left: list[str]) -> Iterator[Path]:
    """Yield every file; add the names of folders that are not entered to `left`."""
    entered = {folder.resolve()}

    def refused(error: OSError) -> None:
        left.append(f"{Path(error.filename).name} ({error.strerror})")

    for root, folders, files in os.walk(folder, onerror=refused, followlinks=True):
        here = Path(root)
        left += [name for name in sorted(folders) if _is_systems(name)]
        own = (name for name in sorted(folders) if not _is_systems(name))
        folders[:] = [name for name in own if _enters(here / name, entered)]
        yield from (here / name for name in files)


def _is_image(path: Path, more: Set[str]) -> bool:
    # Names that start with a dot are a system's own (macOS writes ._photo.jpg).
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    if is_image(suffix) or suffix in more:
        return True
    return suffix not in _NOTES and found_out(path) is not None


def _kind(path: Path, more: Set[str]) -> str | None:
    """Return how a file that is no image is counted; None if nobody would take it for one."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        hidden = (is_image(suffix) or suffix in more) and not path.name.startswith("._")
        return "hidden" if hidden else None
    if suffix in _NOTES or path.name in _SYSTEMS_FILES:
        return None
    if suffix and not suffix[1:].isdigit():
        return suffix[1:]
    return None if _is_text(path) else "without ending"


def _is_text(path: Path) -> bool:
    """Return whether a file is text, like a README or a list of digests."""
    try:
        if not path.is_file():
            return True  # a socket, or a link that leads nowhere
        with path.open("rb") as file:
            return b"\0" not in file.read(512)
    except OSError:
        return False


def _enters(folder: Path, entered: set[Path]) -> bool:
    """Return whether `folder` is new: a link that leads back up would never end."""
    target = folder.resolve()
    if target in entered:
        return False
    entered.add(target)
    return True


def _is_systems(name: str) -> bool:
    """Return whether a folder of this name belongs to a system or a program."""
    return any(fnmatch(name.lower(), pattern) for pattern in _SYSTEMS_FOLDERS)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


_MOST = 12  # kinds and folders that are named
#: Endings of what lies beside pictures and describes them: no one expects it to be converted.
_NOTES = frozenset(
    {".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".xml"}
    | {".html", ".htm", ".log", ".ini", ".cfg", ".url", ".lnk", ".webloc", ".nfo", ".m3u"}
    | {".xmp", ".aae", ".pp3", ".dop", ".thm", ".lrv", ".srt", ".vtt", ".md5", ".sha1", ".sha256"}
    | {".tfw", ".jgw", ".pgw", ".wld", ".prj", ".py", ".sh", ".ipynb", ".css", ".js", ".j2"}
)
_SYSTEMS_FILES = frozenset({"Thumbs.db", "ehthumbs.db", "Icon\r", "DICOMDIR"})
_SYSTEMS_FOLDERS = (
    *(".ipynb_checkpoints", ".trash", ".trash-*", ".trashes", ".thumbnails", ".thumb*", "__macosx"),
    *("@eadir", "#recycle", "@recycle", ".@__thumb", "$recycle.bin", "system volume information"),
    *("lost+found", ".spotlight-v100", ".fseventsd", ".appledouble", ".temporaryitems"),
    *(".git", ".hg", ".svn", ".dvc", ".cache", "__pycache__", ".picasaoriginals", ".xvpics"),
)


def domain_names(a: Path, b: Path) -> tuple[str, str]:
    """Return the names of the domains in two folders: the last parts of their paths that differ.

    A data set's name such as vangogh2photo is no help: there are copies with the sides swapped.
    """
    differing = ((x, y) for x, y in zip(a.parts[::-1], b.parts[::-1], strict=False) if x != y)
    return next(differing, ("A", "B"))


def instead_of(folder: Path) -> str:
    """Return a hint at what is there instead of a folder such as DIR/trainA; empty if nothing."""
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
    """Yield folders `name` one level below `root`, or above if `root` lies within the data set."""
    if root.is_dir():
        yield from (below / name for below in _folders(root) if (below / name).is_dir())
    for above in (root.parent, root.parent.parent):
        if root.resolve() != above.resolve() and (above / name).is_dir():
            yield above / name


def _spelt(root: Path, phase: str, domain: str) -> Iterator[Path]:
    """Yield folders that spell trainA (or testB and so on) in another way."""
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
