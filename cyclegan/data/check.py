"""Checks of a data set: readable images, sizes, and pictures shared between folders."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cyclegan import images
from cyclegan.data import DataSettings
from cyclegan.data.folders import Contents, instead_of, look_into
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.errors import UserError
from cyclegan.progress import tracked


def told_shared(folders: Mapping[Path, Sequence[Path]], seconds: float) -> Iterator[str]:
    """Yield a line for each two folders that share pictures, compared by their files' content.

    Only files of equal size are read. The search ends after `seconds`, which is reported.
    """
    until = time.monotonic() + seconds
    where: dict[bytes, dict[Path, Path]] = defaultdict(dict)
    candidates = list(_of_one_size(folders))
    in_time = 0
    for folder, path in tracked(candidates, "looking for shared pictures", "files", is_part=True):
        if time.monotonic() > until:
            break
        in_time += 1
        if content := _digest(path):
            where[content].setdefault(folder, path)
    for a, b in combinations(folders, 2):
        both = [found for found in where.values() if a in found and b in found]
        if both:
            what = "a picture" if len(both) == 1 else f"{len(both)} pictures"
            example = f"{both[0][a].name} is {both[0][b].name}"
            yield f"{a} and {b} share {what} ({example}): leave them out of one"
    if in_time < len(candidates):
        yield f"looked for shared pictures in {in_time} of {len(candidates)} files ({seconds:g} s)"


def _of_one_size(folders: Mapping[Path, Sequence[Path]]) -> Iterator[tuple[Path, Path]]:
    """Return the files whose size occurs in another folder, too."""
    sizes: dict[int, set[Path]] = defaultdict(set)
    files = [(folder, path, _size(path)) for folder, paths in folders.items() for path in paths]
    for folder, _, size in files:
        sizes[size].add(folder)
    return ((folder, path) for folder, path, size in files if size and len(sizes[size]) > 1)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # whoever reads it says what is wrong
        return 0


def _digest(path: Path) -> bytes:
    digest = blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError:
        return b""
    return digest.digest()


_SECONDS = 300.0  # that are spent on comparing files
FOLDERS = {"trainA": True, "trainB": True, "testA": False, "testB": False}  # name: needed


@dataclass(frozen=True)
class FolderReport:
    """Contents of one folder: image sizes and unreadable files."""

    contents: Contents
    sizes: Counter[tuple[int, int]]
    unreadable: list[str]

    @property
    def readable(self) -> int:
        """Number of images that can be trained on."""
        return self.sizes.total()


def check_folder(folder: Path) -> FolderReport:
    """Decode every image below `folder`. Raises UserError if it is missing or empty."""
    contents = look_into(folder).check()
    sizes: Counter[tuple[int, int]] = Counter()
    unreadable = []
    for path in tracked(contents.images, f"checking {folder.name}", "images"):
        try:
            sizes[_decoded(path)] += 1
        except images.UnreadableImageError as error:
            unreadable.append(str(error))
    return FolderReport(contents, sizes, unreadable)


def _decoded(path: Path) -> images.Size:
    """Decode a whole picture, whatever its channels and values; return its size."""
    if images.is_deep(path, 3):
        return images.read_whole(path)
    return images.read(path, 3).size


def check(root: Path) -> int:
    """Print what the data set below `root` holds; return the exit code, 1 if it can't be used.

    `root` holds trainA and trainB (and testA and testB, if there are any), or is itself one folder
    of images. Raises UserError if it is neither.
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


def check_sizes(
    paths: Iterable[Path], settings: DataSettings, *, smallest_side: int, alike: bool
) -> None:
    """Raise UserError naming an image that these settings can't train on.

    `smallest_side` in pixels is what the networks need; `alike` requires one size overall, as
    batches do. Reads file headers, and none if every image is scaled to the same square.
    """
    mode = PREPROCESS[settings.preprocess]
    if settings.preprocess == "resize_and_crop":
        return
    first: tuple[Path, tuple[int, int]] | None = None
    for path in paths:
        try:
            size = images.size(path)
        except images.UnreadableImageError:
            continue  # counted and passed over when it is its turn
        scaled = mode.scaled(size, settings)
        if mode.crops and min(scaled) < settings.crop_size:
            raise UserError(
                f"{path}: {_text(scaled)} is smaller than --crop_size {settings.crop_size}: "
                "give a smaller --crop_size or --preprocess resize_and_crop"
            )
        result = mode.result(size, settings)
        if min(result) < smallest_side:
            raise UserError(
                f"{path}: {_text(result)} is too small, the networks need {smallest_side} pixels: "
                "leave it out or use --preprocess resize_and_crop"
            )
        first = first or (path, result)
        if alike and result != first[1]:
            raise UserError(
                f"{path} is {_text(result)} and {first[0]} is {_text(first[1])}: a batch needs one "
                "size; give --batch_size 1 or --preprocess resize_and_crop"
            )


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
