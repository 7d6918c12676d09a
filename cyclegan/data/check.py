"""Looks at a data set before anyone trains on it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cyclegan import images
from cyclegan.data.folders import Contents, look_into
from cyclegan.data.layout import instead_of
from cyclegan.data.shared import told_shared
from cyclegan.errors import UserError
from cyclegan.progress import tracked

_SECONDS = 300.0  # that are spent on comparing files
FOLDERS = {"trainA": True, "trainB": True, "testA": False, "testB": False}  # name: needed


@dataclass(frozen=True)
class FolderReport:
    """What one folder holds."""

    contents: Contents
    sizes: Counter[tuple[int, int]]
    unreadable: list[str]

    @property
    def readable(self) -> int:
        """Images that can be trained on."""
        return self.sizes.total()


def check_folder(folder: Path) -> FolderReport:
    """Decode every image below `folder`. Raises UserError where it is missing or empty."""
    contents = look_into(folder).check()
    sizes: Counter[tuple[int, int]] = Counter()
    unreadable = []
    for path in tracked(contents.images, f"looking through {folder.name}", "images"):
        try:
            sizes[_decoded(path)] += 1
        except images.UnreadableImageError as error:
            unreadable.append(str(error))
    return FolderReport(contents, sizes, unreadable)


def _decoded(path: Path) -> images.Size:
    """The size of a whole picture, whatever its channels and values."""
    if images.is_deep(path, 3):
        return images.read_whole(path)
    return images.read(path, 3).size


def check(root: Path) -> int:
    """Print what the data set below `root` holds; return the exit code, 1 where it can't be used.

    `root` holds trainA and trainB (testA and testB too, if there are any), or is itself one
    folder of images. Raises UserError where it is neither.
    """
    reports = list(_reports(root))
    table = Table("folder", "images", "smallest", "largest", "unreadable", title=escape(str(root)))
    for report in reports:
        by_area = sorted(report.sizes, key=lambda size: (size[0] * size[1], size)) or [(0, 0)]
        table.add_row(
            escape(report.contents.folder.name),
            str(report.readable),
            "x".join(map(str, by_area[0])),
            "x".join(map(str, by_area[-1])),
            str(len(report.unreadable)),
        )
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    for line in (line for report in reports for line in report.unreadable):
        console.print(line, markup=False)
    for contents in (report.contents for report in reports):
        if line := contents.left_out():
            console.print(f"{contents.folder}: {line}", markup=False)
    files = {report.contents.folder: report.contents.images for report in reports}
    for line in told_shared(files, _SECONDS):
        console.print(line, markup=False)
    if len(reports) == 1 and (hint := instead_of(root / "trainA")):
        console.print(f"{root / 'trainA'}: no such folder{hint}", markup=False)
    return int(any(report.unreadable for report in reports))


def _reports(root: Path) -> Iterator[FolderReport]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    if not any((root / name).is_dir() for name in FOLDERS):
        yield check_folder(root)
        return
    for name, needed in FOLDERS.items():
        if needed or (root / name).is_dir():
            yield check_folder(root / name)
