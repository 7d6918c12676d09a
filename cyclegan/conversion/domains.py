"""Input images of a conversion: their domain, their folder, and lists that name them."""

import contextlib
import csv
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from cyclegan import checkpoint, classic
from cyclegan.conversion import ModelChoice
from cyclegan.data import DataSettings
from cyclegan.data.folders import folder_of_test_images, place_of_test_images
from cyclegan.errors import UserError
from cyclegan.plain import read_text, without_bytes
from cyclegan.run import FolderDirection, check_name
from cyclegan.settings import Settings, from_record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sides:
    """The folders of training images of what a generator converts and of what it makes."""

    direction: FolderDirection
    source: Path
    target: Path
    both_ways: bool = False
    """whether there is a generator for the way back"""

    def mixed_up(self, given: Path) -> bool:
        """Return whether `given` holds what comes out, by the folders or its name (testB, valB)."""
        folder = given.parent if given.is_file() else given
        if _holds(self.source, folder):
            return False
        name = _domain(folder)
        return _holds(self.target, folder) or (
            name != "" and name == _domain(self.target) != _domain(self.source)
        )


def test_images_of(model: ModelChoice, dataroot: Path | None) -> Path:
    """Return the test images of what a generator converts, and log which are taken.

    `dataroot` is another data set than the one trained on. Raises UserError if there are none.
    """
    sides = _sides(model, dataroot)
    if sides is None and dataroot is None:
        raise UserError(
            f"{model.checkpoints_dir / str(model.name)}: files of the classic scripts don't "
            "say what they were trained on: give --dataroot DIR or --input DIR"
        )
    return _test_images(sides or _by_name("AtoB", dataroot))


def tell_mixed_up(model: ModelChoice, given: Path, dataroot: Path | None) -> None:
    """Warn if the input looks like what the generator makes."""
    with contextlib.suppress(UserError):  # told when the generator is loaded
        sides = _sides(model, dataroot)
        if sides is not None and sides.mixed_up(given):
            log.warning("%s", _advice(given, sides))


def _advice(given: Path, sides: Sides) -> str:
    other = "BtoA" if sides.direction == "AtoB" else "AtoB"
    way_out = f"--direction {other} converts them"
    if not sides.both_ways:
        way_out = f"give images like those of {sides.source}"
    made = f"judging by the folder, these look like outputs of {sides.direction}"
    return f"--input {given}: {made}: {way_out}"


def _test_images(sides: Sides) -> Path:
    """Return the folder of test images, or of training images if there are no others.

    Raises UserError if there are none at all.
    """
    train = sides.source
    found = folder_of_test_images(train)
    if not found.exists():
        raise UserError(
            f"{place_of_test_images(train)}: no such folder: give --dataroot DIR (with "
            f"test{sides.direction[0]} in it) or --input DIR"
        )
    if found == train:
        log.warning("%s: no test images next to it, converting training images instead", train)
    log.warning("%s converts: %s", sides.direction, found)
    return found


def _sides(model: ModelChoice, dataroot: Path | None) -> Sides | None:
    """Return the sides that the run was trained on; None if nothing says so. Raises UserError."""
    trained = _trained(model)
    if trained is None:
        return None if model.direction is None else _by_name(model.direction, dataroot)
    data = trained.data
    if dataroot is not None:
        data = replace(data, dataroot=dataroot, domain_A=None, domain_B=None)
    direction = model.direction or trained.run.direction
    source, target = data.folder("A"), data.folder("B")
    if direction == "BtoA":
        source, target = target, source
    return Sides(direction, source, target, trained.recipe.both_ways)


def _trained(model: ModelChoice) -> Settings | None:
    """Return the settings that a checkpoint was trained with; None for other files."""
    path = model.weights
    if model.name is not None:
        check_name(model.name)
        path = model.checkpoints_dir / model.name
    if path is None or classic.is_folder(path):
        return None
    if model.name is not None or path.is_dir():
        path = checkpoint.path_of(path, model.epoch)
    if path.suffix != ".pt":
        return None
    trained = from_record(checkpoint.load(path, mapped=True).settings, str(path))
    return trained.found_from(path.parent)


def _by_name(direction: FolderDirection, dataroot: Path | None) -> Sides:
    """Return the sides by the names that data sets give their folders."""
    data = DataSettings(dataroot=dataroot or Path())
    source, target = data.folder("A"), data.folder("B")
    return Sides(direction, *((source, target) if direction == "AtoB" else (target, source)))


def _holds(train: Path, folder: Path) -> bool:
    """Return whether `folder` is, or is below, that of training images or their test images."""
    places = (train, place_of_test_images(train))
    return any(folder.resolve().is_relative_to(place.resolve()) for place in places)


def _domain(folder: Path) -> str:
    """Return what a folder's name says beside the phase: b of testB, trainB and B_val."""
    return re.sub(r"^(train|test|val)[-_ ]?|[-_ ]?(train|test|val)$", "", folder.name.lower())


_LINE_ENDS = re.compile(r"\r\n|\n|\r")  # str.splitlines also parts at letters of names
_HEADING = re.compile(r"file|path|name|image|img|photo|picture|source|video|frame", re.IGNORECASE)
_ENDING = re.compile(r"\.\w{2,5}$")
_QUOTES = ('"', "'", "`")


def listed(source: Path, file: Path) -> list[Path]:
    """Return the files below `source` that the lines of `file` name, each once, in their order.

    A line holds a path within `source` or an absolute one, quoted or not, with slashes of either
    kind; it may be a cell of a table, and a comment may follow. Missing files are returned too, and
    fail later as pictures do. Raises UserError, naming the file and the line.
    """
    if not file.exists():
        raise UserError(f"--list {file}: no such file")
    found: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for number, line in enumerate(_LINE_ENDS.split(read_text(file)), 1):
        given = _there(source, line)
        if given is None:
            given = _meant(line)
            if given is None or (not found and not missing and _is_heading(line)):
                continue
            missing.setdefault(given, f"line {number}: {given}")
        path = _below(source, given)
        if path is None:
            raise UserError(f"--list {file}: line {number}: {given} is not inside {source}")
        found.setdefault(os.path.realpath(path), path)
    if not found:
        raise UserError(f"--list {file}: lists no images")
    if len(missing) == len(found):
        first = next(iter(missing.values()))
        raise UserError(f"--list {file}: nothing that it lists is in {source} ({first})")
    return list(found.values())


def _there(source: Path, line: str) -> str | None:
    """Return the most literal reading of a line that names an existing file; None if none does."""
    readings = (reading for reading in _readings(line) if reading)
    return next((each for each in readings if os.path.isfile(source / each)), None)  # noqa: PTH113


def _readings(line: str) -> Iterator[str]:
    plain = line.strip()
    for text in dict.fromkeys((line, plain, *_cells(plain), plain.partition(" #")[0].strip())):
        bare = _unquoted(text)
        for spelling in dict.fromkeys((text, bare, bare.replace("\\", "/"))):
            for name in dict.fromkeys((spelling, without_bytes(spelling))):
                yield name
                yield from (normalize(form, name) for form in _FORMS)


#: Systems spell letters with accents in one of two ways, a list perhaps in the other.
_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def _meant(line: str) -> str | None:
    """Return the name on a line whose file is missing; None for an empty line or a comment."""
    plain = line.strip()
    if not plain or plain.startswith("#"):
        return None
    texts = [_unquoted(text) for text in (plain.partition(" #")[0].strip(), *_cells(plain))]
    name = next(filter(_ENDING.search, texts), texts[0])
    return without_bytes(name).replace("\\", "/")


def _is_heading(line: str) -> bool:
    """Return whether a table's first line says what its columns hold."""
    cells = _cells(line.strip()) or [line.strip()]
    return any(map(_HEADING.search, cells)) and not any(map(_ENDING.search, cells))


def _cells(line: str) -> list[str]:
    """Return the cells of a table's row; none if the line is no row."""
    for delimiter in ("\t", ";", ","):
        if delimiter in line:
            try:
                (row,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
            except (csv.Error, ValueError):  # a quote without an end, or a very long cell
                continue
            return [cell.strip() for cell in row]
    return []


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES
    return text[1:-1].strip() if quoted else text


def _below(source: Path, given: str) -> Path | None:
    """Return the same file by its path within `source`; None if it lies elsewhere."""
    named = source / given
    for whole in (os.path.abspath, os.path.realpath):
        path, root = Path(whole(named)), Path(whole(source))
        if path != root and path.is_relative_to(root):
            return source / path.relative_to(root)
    return None
