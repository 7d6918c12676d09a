"""Test pictures in two halves: one chooses checkpoints, the other reports."""

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Literal

from cyclegan.data.folders import list_images, look_into
from cyclegan.errors import UserError

Half = Literal["choosing", "reporting"]
HALVES: tuple[Half, Half] = ("choosing", "reporting")


def make_halves(dataroot: Path, folder: Path) -> str:
    """Make `folder`/choosing and /reporting, data sets of links to the pictures of `dataroot`.

    The training pictures are all in both. Which half a test picture is in is said by the digest of
    its bytes, whatever it is called; twins go with their pictures. Return the digest of them all.
    Raises UserError where there are no test pictures.
    """
    whole = sha256()
    for half in HALVES:
        shutil.rmtree(folder / half, ignore_errors=True)
    for domain in "AB":
        test = dataroot / f"test{domain}"
        pictures = {sha256(path.read_bytes()).hexdigest(): path for path in list_images(test)}
        if len(pictures) < 2:
            raise UserError(f"{test}: a study needs two different pictures at least")
        for number, digest in enumerate(sorted(pictures)):
            whole.update(digest.encode())
            place, name = folder / HALVES[number % 2], pictures[digest].relative_to(test)
            _link(pictures[digest], place / test.name / name)
            _link_twin(name, dataroot / f"twins{domain}", place)
        for half in HALVES:
            _link(dataroot / f"train{domain}", folder / half / f"train{domain}")
    return whole.hexdigest()[:32]


def _link_twin(name: Path, twins: Path, place: Path) -> None:
    """The picture in `twins` that is called so, whatever its ending."""
    found = look_into(twins).images if twins.is_dir() else []
    for path in found:
        if path.relative_to(twins).with_suffix("") == name.with_suffix(""):
            _link(path, place / twins.name / path.relative_to(twins))


def _link(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(path.resolve())
    except OSError:  # where links are not to be had, or not by everyone
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, place)
