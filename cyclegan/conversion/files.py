"""Which file becomes which."""

import fnmatch
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

from cyclegan.conversion import Format, Locations, Selection, manifest
from cyclegan.conversion.domains import listed
from cyclegan.data.folders import look_into
from cyclegan.errors import UsageError, UserError, in_words
from cyclegan.images.formats import (
    WRITABLE,
    by_ending,
    ending_to_write,
    names_a_kind,
    spelt_as,
)
from cyclegan.locks import lock, unlock
from cyclegan.video import VIDEO, WRITABLE_VIDEO

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One picture to convert."""

    source: Path
    target: Path
    name: Path
    """of the target within the output folder"""

    @property
    def is_done(self) -> bool:
        """Whether its output is there; of a name that no file can have, it is not."""
        return os.path.isfile(self.target)  # noqa: PTH113


def plan(locations: Locations, selection: Selection) -> list[Job]:
    """Pair every image below the input (or the input itself) with its place below the output.

    The output mirrors the input; two inputs that would share a name keep their own ending within
    it (a.jpg.png). Raises UserError where there is nothing to convert, or no place for it.
    """
    source, output = locations.source, locations.target
    if _is_named(locations):
        return [_named(source, output, selection.format)][: selection.most]
    if source.is_file():
        root, found = source.parent, [source]
    elif source.is_dir():
        if output.suffix.lower() in VIDEO | WRITABLE and not output.exists():
            raise UsageError(f"--output {output}: --input {source} is a folder: give a folder, too")
        root, found = source, _chosen(locations, selection)
    else:
        raise UserError(f"--input {source}: no such file or folder")
    if output.resolve() == root.resolve():
        raise UsageError(f"--output {output} is the input folder itself: give another folder")
    if output.is_file():
        raise UsageError(f"--output {output} is a file: give a folder")
    names = _distinct(root, [path.relative_to(root) for path in found], selection.format)
    jobs = [Job(path, output / name, name) for path, name in zip(found, names, strict=True)]
    _check_inputs_stay(jobs, output)
    return jobs[: selection.most]


def is_video(path: Path) -> bool:
    """Whether it is called as videos are."""
    return path.suffix.lower() in VIDEO


def folder_of(locations: Locations) -> Path:
    """The folder that outputs, and what is told of them, go to."""
    return locations.target.parent if _is_named(locations) else locations.target


def _is_named(locations: Locations) -> bool:
    """Whether the output is a file: called as pictures or videos are, and made of one of them."""
    output = locations.target
    called = is_video(output) or by_ending(output) is not None
    return called and locations.source.is_file() and not output.is_dir()


def _named(source: Path, output: Path, format: Format | None) -> Job:
    """One picture or video whose output is named."""
    kind, other, endings = "picture", "video", WRITABLE
    if is_video(output):
        kind, other, endings = "video", "picture", frozenset(WRITABLE_VIDEO)
    if is_video(source) != is_video(output):
        raise UsageError(
            f"--output {output} is a {kind}, --input {source} a {other}: give a folder"
        )
    if output.suffix.lower() not in endings:
        raise UsageError(f"--output {output}: {kind}s are written as {', '.join(sorted(endings))}")
    if output.suffix != _suffix(output, format):
        raise UsageError(f"--format {format}: --output {output} is called otherwise: leave one out")
    if output.exists() and output.samefile(source):
        raise UsageError(f"--output {output} is the input itself: give another file")
    return Job(source, output, Path(output.name))


def _chosen(locations: Locations, selection: Selection) -> list[Path]:
    """What the input folder holds, `--glob` and `--list` allow, and no earlier run put there."""
    source, output = locations.source, locations.target
    if selection.list is not None:
        return listed(source, selection.list)
    contents = look_into(source, VIDEO).check()
    contents.tell()
    found = _without_earlier(contents.images, source, output)
    if not found and output.resolve() != source.resolve():
        raise UserError(f"--input {source}: holds nothing but what earlier conversions made")
    if selection.glob is None:
        return found
    matching = [
        path
        for path in found
        if fnmatch.fnmatchcase(path.relative_to(source).as_posix(), selection.glob)
    ]
    if not matching:
        raise UserError(f"--glob {selection.glob}: none of the {len(found)} images matches")
    return matching


def _check_inputs_stay(jobs: list[Job], output: Path) -> None:
    there = [job.target for job in jobs if os.path.exists(job.target)]  # noqa: PTH110
    if not there:
        return
    inputs = {_identity(job.source) for job in jobs if os.path.exists(job.source)}  # noqa: PTH110
    for target in there:
        if _identity(target) in inputs:
            raise UsageError(f"--output {output}: {target} is an input: give another folder")


def _identity(path: Path) -> tuple[int, int]:
    """The same for two names of one file; quicker than following links by hand."""
    state = path.stat()
    return state.st_dev, state.st_ino


def _distinct(root: Path, inputs: list[Path], format: Format | None) -> list[Path]:
    names = [_renamed(path, _suffix(root / path, format)) for path in inputs]
    longer: set[int] = set()  # grows with every turn, so that there is a last one
    while shared := _sharing(names) - longer:
        for place in shared:
            path = inputs[place]
            names[place] = path.with_name(path.name + _suffix(root / path, format))
        longer |= shared
    return names


def _sharing(names: list[Path]) -> set[int]:
    """The positions of names that are there more than once."""
    uses = Counter(names)
    return {place for place, name in enumerate(names) if uses[name] > 1}


def _renamed(path: Path, suffix: str) -> Path:
    """With another ending; what follows the last dot of a number is part of the name."""
    is_ending = names_a_kind(path.suffix) or is_video(path)
    return path.with_suffix(suffix) if is_ending else path.with_name(path.name + suffix)


def _suffix(path: Path, format: Format | None) -> str:
    """The ending to write: the input's own, spelt as it is, where that format is asked for."""
    if is_video(path):
        return path.suffix if path.suffix.lower() in WRITABLE_VIDEO else ".mkv"
    return ending_to_write(path) if format is None else spelt_as(path, format)


def _without_earlier(found: Sequence[Path], source: Path, output: Path) -> list[Path]:
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


LOCK = ".converting.lock"


@dataclass(frozen=True)
class Claims:
    """What this process makes in an output folder; others see it, and leave it alone.

    One byte of a file stands for each output, and is locked while that is made. The system lets go
    of locks with the process, however that ends.
    """

    file: IO[bytes]
    overwrite: bool = False
    """whether what others have finished is made again"""
    found: list[Job] = field(default_factory=list)
    """finished by others since it was decided what to do"""

    def shared(self, jobs: Sequence[Job]) -> Iterator[Iterable[Job]]:
        """The jobs in parts: those that no one else makes, then one by one what others didn't end.

        A job is claimed when it is asked for, and to be released when it is made or has failed. A
        part has to be through before the next one: nobody waits who keeps others waiting.
        """
        busy: list[Job] = []
        yield self._free(jobs, busy)
        if busy:
            log.warning("another process makes %s too: waiting for it", _in_words(busy))
        for job in busy:
            self._lock(job, wait=True)
            yield self._free([job], [])

    def release(self, job: Job) -> None:
        """Let others make it, or see that it is there."""
        with suppress(OSError):  # not every file system has locks
            unlock(self.file, at=_place(job.name))

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other process writes what is called so in the folder, and keep them off."""
        job = Job(Path(), Path(), Path(name))
        self._lock(job, wait=True)
        try:
            yield
        finally:
            self.release(job)

    def _free(self, jobs: Sequence[Job], busy: list[Job]) -> Iterator[Job]:
        for job in jobs:
            if not self._lock(job):
                busy.append(job)
            elif job.is_done and not self.overwrite:
                self.found.append(job)
                self.release(job)
            else:
                yield job

    def _lock(self, job: Job, *, wait: bool = False) -> bool:
        try:
            return lock(self.file, wait=wait, at=_place(job.name))
        except OSError:  # as above
            return True


@contextmanager
def claims(folder: Path, *, overwrite: bool) -> Iterator[Claims]:
    """Claim what is made in `folder`. Raises UserError where it can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _present(folder / LOCK)
    except FileExistsError:
        raise UserError(f"--output {folder}: can't be written (Not a directory)") from None
    except OSError as error:
        raise UserError(f"--output {folder}: can't be written ({in_words(error)})") from error
    with file:
        try:
            yield Claims(file, overwrite)
        finally:
            _remove_unless_shared(file, folder / LOCK)


def _present(path: Path) -> IO[bytes]:
    """The folder's file, opened; its first byte is locked by all who use it."""
    while True:
        file = path.open("a+b")
        try:
            lock(file, shared=True, wait=True, at=0)
        except OSError:
            return file  # as above
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # the last one who used it has just removed it


def _remove_unless_shared(file: IO[bytes], path: Path) -> None:
    with suppress(OSError):  # as above
        if lock(file, at=0):
            path.unlink(missing_ok=True)


def _place(name: Path) -> int:
    """The byte that stands for an output; the first one stands for the folder."""
    return 1 + int.from_bytes(sha256(os.fsencode(name)).digest()[:7], "big")


def _in_words(jobs: Sequence[Job]) -> str:
    more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return f"{jobs[0].target}{more}"
