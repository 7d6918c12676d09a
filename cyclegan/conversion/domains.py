"""The images that a conversion takes: of which domain, and from which folder."""

import contextlib
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path

from cyclegan import checkpoint, classic
from cyclegan.conversion import ModelChoice
from cyclegan.data import DataSettings
from cyclegan.data.folders import folder_of_test_images, place_of_test_images
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


def test_images_of(model: ModelChoice, dataroot: Path | None) -> Path:
    """The test images of what a generator converts; says which are taken.

    `dataroot` is another data set than the one trained on. Raises UserError where there are none.
    """
    sides = _sides(model, dataroot)
    if sides is None and dataroot is None:
        raise UserError(
            f"{model.checkpoints_dir / str(model.name)}: files of the classic scripts don't "
            "say what they were trained on: give --dataroot DIR or --input DIR"
        )
    return _test_images(sides or _by_name("AtoB", dataroot))


def tell_mixed_up(model: ModelChoice, given: Path, dataroot: Path | None) -> None:
    """Say it where the input looks like what comes out."""
    with contextlib.suppress(UserError):  # told when the generator is loaded
        sides = _sides(model, dataroot)
        if sides is not None and sides.mixed_up(given):
            log.warning("%s", _advice(given, sides))


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


def _sides(model: ModelChoice, dataroot: Path | None) -> Sides | None:
    """By what the run was trained on; None where nothing says it. Raises UserError."""
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
    """What a checkpoint was trained with; None for other files."""
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
