"""Jobs of a conversion, each an input and its output, and the claims that processes lay to them."""

import fnmatch
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from cyclegan.atomic import hidden_name
from cyclegan.conversion import Format, Locations, Selection, manifest
from cyclegan.conversion.domains import listed
from cyclegan.conversion.shards import ClipPart
from cyclegan.data.folders import look_into
from cyclegan.errors import UsageError, UserError
from cyclegan.images.formats import (
    WRITABLE,
    by_ending,
    ending_to_write,
    is_written,
    names_a_kind,
    spelt_as,
)
from cyclegan.video import VIDEO, WRITABLE_VIDEO

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One picture or video to convert, or a part of a video."""

    source: Path
    target: Path
    name: Path
    """of the target within the output folder"""
    part: ClipPart | None = None
    """of a clip that several shards make together; None for all of it"""

    @property
    def is_done(self) -> bool:
        """True if the output exists; False for a name that no file can have."""
        return os.path.isfile(self.target)  # noqa: PTH113

    def entry_in(self, made: Mapping[str, manifest.Entry], made_by: str) -> manifest.Entry | None:
        """Return its entry among `made`, if that is of its input as it is, this model and options.

        Raises OSError if the input is gone.
        """
        entry = made.get(self.name.as_posix())
        ours = entry is not None and entry.origin == manifest.Origin.of(self.source, made_by)
        return entry if ours else None


def plan(locations: Locations, selection: Selection) -> list[Job]:
    """Pair every image below the input (or the input itself) with its place below the output.

    The output mirrors the input; inputs that would share a name keep their own ending within it
    (a.jpg.png). Raises UserError if there is nothing to convert, or no place for it.
    """
    source, output = locations.source, locations.target
    if _is_named(locations):
        return [_named(source, output, selection.format)][: selection.most]
    if source.is_file():
        root, found = source.parent, [source]
    elif source.is_dir():
        named = is_video(output) or is_written(output.suffix.lower())
        if named and not output.exists():
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
    """Return whether a file has the ending of a video."""
    return path.suffix.lower() in VIDEO


def folder_of(locations: Locations) -> Path:
    """Return the folder that the outputs and their manifest go to."""
    return locations.target.parent if _is_named(locations) else locations.target


def _is_named(locations: Locations) -> bool:
    """Return whether the output is a file: called as a picture or video, and made of one input."""
    output = locations.target
    called = is_video(output) or by_ending(output) is not None
    return called and locations.source.is_file() and not output.is_dir()


def _named(source: Path, output: Path, format: Format | None) -> Job:
    """Return the job of one picture or video whose output is named."""
    kind, other, endings = "picture", "video", WRITABLE
    if is_video(output):
        kind, other, endings = "video", "picture", WRITABLE_VIDEO
    if is_video(source) != is_video(output):
        raise UsageError(
            f"--output {output} is a {kind}, --input {source} a {other}: give a folder"
        )
    ending = output.suffix.lower()
    if ending not in endings and not (kind == "picture" and is_written(ending)):
        raise UsageError(f"--output {output}: {kind}s are written as {', '.join(sorted(endings))}")
    if output.suffix != _suffix(output, format):
        raise UsageError(
            f"--format {format}: --output {output} has another extension: leave one out"
        )
    if output.exists() and output.samefile(source):
        raise UsageError(f"--output {output} is the input itself: give another file")
    return Job(source, output, Path(output.name))


def _chosen(locations: Locations, selection: Selection) -> list[Path]:
    """Return the files of the input that `--glob` and `--list` allow and no earlier run made."""
    source, output = locations.source, locations.target
    if selection.list is not None:
        return listed(source, selection.list)
    contents = look_into(source, VIDEO).check()
    contents.tell()
    found = _without_earlier(contents.images, source, output)
    if not found and output.resolve() != source.resolve():
        raise UserError(f"--input {source}: contains only outputs of earlier conversions")
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
    """Return a key that two names of one file share; quicker than following links by hand."""
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
    """Return the positions of names that occur more than once."""
    uses = Counter(names)
    return {place for place, name in enumerate(names) if uses[name] > 1}


def _renamed(path: Path, suffix: str) -> Path:
    """Return the path with another ending; what follows the last dot of a number is not one."""
    is_ending = names_a_kind(path.suffix) or is_video(path)
    return path.with_suffix(suffix) if is_ending else path.with_name(path.name + suffix)


def _suffix(path: Path, format: Format | None) -> str:
    """Return the ending to write: the input's own spelling if it has the format asked for."""
    if is_video(path):
        return path.suffix if path.suffix.lower() in WRITABLE_VIDEO else ".mkv"
    return ending_to_write(path) if format is None else spelt_as(path, format)


def _without_earlier(found: Sequence[Path], source: Path, output: Path) -> list[Path]:
    """Leave out of `found`, below `source`, what this or another run made there.

    That is what lies in the output folder, and what any folder's manifest names. A whole folder of
    outputs may be converted again: it is the input then. Logs in one line what is left out.
    """
    inside, root = os.path.realpath(output), os.path.realpath(source)
    ours = Path(inside) if Path(inside).is_relative_to(root) else None
    made = {path for folder in _folders(found, source) for path in _made_in(folder, source)}
    kept = [path for path in found if not (path in made or _is_part(path) or _below(path, ours))]
    if len(kept) < len(found):
        left = [path for path in found if path not in set(kept)]
        log.warning("skipping %s that earlier conversions made (%s)", _count(left), left[0].parent)
    return kept


def _folders(found: Sequence[Path], source: Path) -> set[Path]:
    """Return all folders that hold what is found, at any depth, `source` among them."""
    folders = {source}
    for folder in {path.parent for path in found}:
        while folder not in folders:
            folders.add(folder)
            folder = folder.parent
    return folders


def _made_in(folder: Path, source: Path) -> Iterator[Path]:
    """Yield the outputs that a folder's manifest names.

    For `source` itself, only those made of its own files count: all others are its input.
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


_PARTS = ".parts"
_KEY = 12  # digits of what a clip's segments are made of


def parts_folder(target: Path, key: str) -> Path:
    """Return the hidden folder of a clip's segments, by a digest of what they are made of."""
    return target.with_name(hidden_name(target.name, f".{key[:_KEY]}{_PARTS}"))


def parts_of(target: Path) -> list[Path]:
    """Return the folders of segments there are of a clip, whatever they are made of."""
    some = parts_folder(target, "?" * _KEY).name
    like = some.removesuffix(f"{'?' * _KEY}{_PARTS}")
    return list(target.parent.glob(f"{escape(like)}{'?' * _KEY}{_PARTS}"))


def _is_part(path: Path) -> bool:
    """Return whether a file belongs to a clip that is not finished."""
    return path.parent.name.startswith(".") and path.parent.name.endswith(_PARTS)


def _count(left: Sequence[Path]) -> str:
    return "1 file" if len(left) == 1 else f"{len(left)} files"
