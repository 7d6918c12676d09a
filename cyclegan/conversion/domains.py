"""The images that a conversion takes: of which domain, and from which folder."""

import contextlib
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path

from cyclegan import checkpoint, classic
from cyclegan.conversion.settings import ConvertSettings
from cyclegan.data.folders import folder_of_test_images, place_of_test_images
from cyclegan.data.settings import DataSettings
from cyclegan.errors import UserError
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
        """Whether `given` holds what comes out, by the folders or by its name (testB, valB)."""
        folder = given.parent if given.is_file() else given
        if _holds(self.source, folder):
            return False
        name = _domain(folder)
        return _holds(self.target, folder) or (
            name != "" and name == _domain(self.target) != _domain(self.source)
        )


def with_input(settings: ConvertSettings) -> ConvertSettings:
    """The settings with an input: where none is given, test images of what is converted.

    Says which are taken. Raises UserError where there are none.
    """
    if settings.input is not None:
        return settings
    sides = _sides(settings)
    if sides is None and settings.dataroot is None:
        raise UserError(
            f"{settings.checkpoints_dir / str(settings.name)}: files of the classic scripts don't "
            "say what they were trained on: give --dataroot DIR or --input DIR"
        )
    return replace(settings, input=_test_images(sides or _by_name("AtoB", settings.dataroot)))


def tell_mixed_up(settings: ConvertSettings) -> None:
    """Say it where the input looks like what comes out."""
    if settings.input is None or settings.direction == "both":
        return
    with contextlib.suppress(UserError):  # told when the generator is loaded
        sides = _sides(settings)
        if sides is not None and sides.mixed_up(settings.input):
            log.warning("%s", _advice(settings.input, sides))


def _advice(given: Path, sides: Sides) -> str:
    other = "BtoA" if sides.direction == "AtoB" else "AtoB"
    way_out = f"--direction {other} converts them"
    if not sides.both_ways:
        way_out = f"give images like those of {sides.source}"
    return f"--input {given}: by their folder these are what {sides.direction} makes: {way_out}"


def _test_images(sides: Sides) -> Path:
    """Training images where there are no others. Raises UserError where there are none at all."""
    train = sides.source
    found = folder_of_test_images(train)
    if not found.exists():
        raise UserError(
            f"{place_of_test_images(train)}: no such folder: give --dataroot DIR (with "
            f"test{sides.direction[0]} in it) or --input DIR"
        )
    if found == train:
        log.warning("%s: no test images beside it, so training images are converted", train)
    log.warning("%s converts: %s", sides.direction, found)
    return found


def _sides(settings: ConvertSettings) -> Sides | None:
    """By what the run was trained on; None where nothing says it. Raises UserError."""
    asked = None if settings.direction == "both" else settings.direction
    trained = _trained(settings)
    if trained is None:
        return None if asked is None else _by_name(asked, settings.dataroot)
    data = trained.data
    if settings.dataroot is not None:
        data = replace(data, dataroot=settings.dataroot, domain_A=None, domain_B=None)
    direction = asked or trained.run.direction
    source, target = data.folder("A"), data.folder("B")
    if direction == "BtoA":
        source, target = target, source
    return Sides(direction, source, target, trained.recipe.both_ways)


def _trained(settings: ConvertSettings) -> Settings | None:
    """What a checkpoint was trained with; None for other files."""
    path = settings.weights
    if settings.name is not None:
        check_name(settings.name)
        path = settings.checkpoints_dir / settings.name
    if path is None or classic.is_folder(path):
        return None
    if settings.name is not None or path.is_dir():
        path = checkpoint.path_of(path, settings.epoch)
    if path.suffix != ".pt":
        return None
    trained = from_record(checkpoint.load(path, mapped=True).settings, str(path))
    return trained.found_from(path.parent)


def _by_name(direction: FolderDirection, dataroot: Path | None) -> Sides:
    """By the names that data sets give their folders."""
    data = DataSettings(dataroot=dataroot or Path())
    source, target = data.folder("A"), data.folder("B")
    return Sides(direction, *((source, target) if direction == "AtoB" else (target, source)))


def _holds(train: Path, folder: Path) -> bool:
    """Whether `folder` is, or is below, one of training images or that of test images beside it."""
    places = (train, place_of_test_images(train))
    return any(folder.resolve().is_relative_to(place.resolve()) for place in places)


def _domain(folder: Path) -> str:
    """What a folder's name says beside the phase: b of testB, trainB and B_val."""
    return re.sub(r"^(train|test|val)[-_ ]?|[-_ ]?(train|test|val)$", "", folder.name.lower())
