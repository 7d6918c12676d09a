"""Pictures that two folders of a data set share: nothing can be learned or measured by those."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import combinations
from pathlib import Path

from cyclegan.progress import tracked


def told_shared(folders: Mapping[Path, Sequence[Path]], seconds: float) -> Iterator[str]:
    """A line for each two folders that share pictures, by the content of their files.

    Only files of one size are read; looking ends after so many `seconds`, which is told.
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
    """The files whose size is that of one in another folder, too."""
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
