"""The pictures of one domain: those that are converted, and all that are real."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cyclegan import images
from cyclegan.data.folders import beside, folder_of_test_images, list_images, look_into
from cyclegan.data.square import Crops, Square, View
from cyclegan.evaluation.pictures import spread_out
from cyclegan.evaluation.real import vectors_of
from cyclegan.features.network import FeatureNetwork

log = logging.getLogger(__name__)

FEW = 8  # test pictures below which squares of them are compared, if they are large
LARGE = 2  # times the side of a square that a picture's shorter side then has at least
CROPS = 100  # squares of all test pictures of a domain together


@dataclass(frozen=True)
class EvaluationDomain:
    """One domain's files, and the square that is compared of each."""

    test: list[Path]
    """to be converted: not trained on, where the data set has such"""
    real: tuple[list[Path], ...]
    """all pictures, folder by folder: what conversions into this domain should be like"""
    twins: list[Path]
    """what each test picture looks like in the other domain; empty where nobody knows"""
    square: Square

    def vectors(self, network: FeatureNetwork, crops: int) -> Tensor:
        """(N, D) of all real pictures. Raises UserError."""
        view = view_of([path for paths in self.real for path in paths], self.square, crops)
        # A folder by itself, so that another test set's domain finds the training images known.
        return torch.cat([vectors_of(paths, view, network) for paths in self.real])


def open_domain(train: Path, square: Square, count: int | None) -> EvaluationDomain:
    """The domain whose training images are in `train`; at most `count` pictures are converted.

    Raises UserError where there are none.
    """
    folder = folder_of_test_images(train)
    if folder == train:
        log.warning("%s: no test images beside it, so training images are converted", train)
    test = list_images(folder, tell=True)
    real = (test,) if folder == train else (list_images(train, tell=True), test)
    chosen = spread_out(test, count)
    twins = [] if folder == train else _twins(chosen, folder, beside(train, "twins"))
    return EvaluationDomain(chosen, real, twins, square)


def view_of(paths: Sequence[Path], square: Square, crops: int) -> View:
    """The view that makes about `crops` squares of all `paths`; 0 takes each picture as one."""
    return Crops(square, -(-crops // len(paths))) if crops else square


def crops_of(sets: Sequence[Sequence[Path]], side: int, asked: int | None) -> int:
    """How many squares are cut from each set of pictures: as asked for; 0 takes them whole.

    If nothing was asked for, some are where any set holds few pictures that are large.
    """
    if asked is not None:
        return asked
    return CROPS if any(_few_and_large(paths, side) for paths in sets) else 0


def _few_and_large(paths: Sequence[Path], side: int) -> bool:
    if len(paths) >= FEW:
        return False
    shortest = []
    for path in paths:
        with suppress(images.UnreadableImageError):  # told when it is its turn
            shortest.append(min(images.size(path)))
    return min(shortest, default=0) >= LARGE * side


def _twins(paths: Sequence[Path], test: Path, folder: Path) -> list[Path]:
    """The pictures in `folder` that are called like `paths`, in their order; none if some lack."""
    if not folder.is_dir():
        return []
    known = {path.relative_to(folder).with_suffix(""): path for path in look_into(folder).images}
    names = [path.relative_to(test).with_suffix("") for path in paths]
    lacking = [str(name) for name in names if name not in known]
    if lacking:
        log.warning(
            "%s: no twin of %s in it: pictures are compared with the other domain's",
            *(folder, ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")),
        )
        return []
    return [known[name] for name in names]
