"""The pictures of one domain: those that are converted, and all that are real."""

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cyclegan.data.folders import folder_of_test_images, list_images
from cyclegan.data.square import Square
from cyclegan.evaluation.pictures import spread_out, squares
from cyclegan.evaluation.real import vectors_of
from cyclegan.features.network import FeatureNetwork

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Domain:
    """One domain's files, at the size at which they are compared."""

    test: list[Path]
    """to be converted: not trained on, where the data set has such"""
    real: list[Path]
    """all pictures: what conversions into this domain should be like"""
    square: Square

    def batches(self) -> list[Tensor]:
        """The test pictures, (N, C, H, W) in [-1, 1] each, squares. Raises UserError."""
        return list(squares(self.test, self.square))

    def vectors(self, network: FeatureNetwork) -> Tensor:
        """(N, D) of all real pictures. Raises UserError."""
        return vectors_of(self.real, self.square, network)


def open_domain(train: Path, square: Square, count: int | None) -> Domain:
    """The domain whose training images are in `train`; at most `count` pictures are converted.

    Raises UserError where there are none.
    """
    beside = folder_of_test_images(train)
    if beside == train:
        log.warning("%s: no test images beside it, so training images are converted", train)
    test = list_images(beside, tell=True)
    real = test if beside == train else [*list_images(train, tell=True), *test]
    return Domain(spread_out(test, count), real, square)
