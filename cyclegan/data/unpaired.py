"""The unpaired data set: images of two domains, drawn and augmented independently."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from cyclegan import images
from cyclegan.data import DatasetMode
from cyclegan.data.augment import Augmentation
from cyclegan.data.cache import Cache, Pixels
from cyclegan.errors import UserError


@dataclass(frozen=True)
class SamplePlace:
    """Place of a sample: the epoch, counted from 1, and the index within the data set."""

    epoch: int
    index: int


@dataclass(frozen=True)
class LoadedImage:
    """One augmented image, its file, and the unreadable files it stands in for."""

    image: Tensor
    """(C, H, W) in [-1, 1]"""
    path: Path
    unreadable: tuple[Path, ...]


@dataclass(frozen=True)
class Domain:
    """The images of one domain, and how they are cached and augmented."""

    name: str
    paths: Sequence[Path]
    channels: int
    augmentation: Augmentation
    cache: Cache = field(default_factory=Cache)
    values: tuple[float, float] | None = None
    """of black and white, if files don't say"""

    def load(self, index: int, seed: int) -> LoadedImage:
        """Load image `index`, or the next readable one; the same arguments, the same pixels."""
        unreadable: list[Path] = []
        for step in range(len(self.paths)):
            path = self.paths[(index + step) % len(self.paths)]
            try:
                scaled = self.cache.get(path, self.channels, partial(self._decode, path))
            except images.UnreadableImageError:
                unreadable.append(path)
                continue
            pixels = self.augmentation(scaled, seed)
            return LoadedImage(images.to_tensor(pixels), path, tuple(unreadable))
        raise UserError(f"domain {self.name}: none of its {len(self.paths)} images can be read")

    def _decode(self, path: Path) -> Pixels:
        if images.is_deep(path, self.channels):
            return self.augmentation.scaled_deep(images.read_deep(path, self.channels, self.values))
        image = images.read(path, self.channels, self.augmentation.enough)
        return self.augmentation.scaled(image)


class UnpairedImages:
    """Data set of pairs: A by its index, B at random (by the same index when `serial`).

    Its length is the larger domain's, times `repeats`. All that is random in a sample follows from
    (seed, epoch, index, domain), so the sequence is the same for any number of workers.
    """

    def __init__(self, a: Domain, b: Domain, *, seed: int, serial: bool, repeats: int = 1) -> None:
        self.a, self.b = a, b
        self._seed = seed
        self._serial = serial
        self._repeats = repeats

    def __len__(self) -> int:
        return max(len(self.a.paths), len(self.b.paths)) * self._repeats

    def __getitem__(self, place: SamplePlace) -> tuple[LoadedImage, LoadedImage]:
        index_a, index_b = self._indices(place)
        seed_a, _ = self._random(place, 0)
        seed_b, _ = self._random(place, 1)
        return self.a.load(index_a, seed_a), self.b.load(index_b, seed_b)

    def paths_of(self, place: SamplePlace) -> tuple[Path, Path]:
        """Return the files of a sample, if both are readable."""
        index_a, index_b = self._indices(place)
        return self.a.paths[index_a], self.b.paths[index_b]

    def _indices(self, place: SamplePlace) -> tuple[int, int]:
        _, draw = self._random(place, 1)
        index_b = place.index if self._serial else draw
        return place.index % len(self.a.paths), index_b % len(self.b.paths)

    def _random(self, place: SamplePlace, domain: int) -> tuple[int, int]:
        """Return a seed for the augmentation and a number to draw an image with."""
        sequence = np.random.SeedSequence((self._seed, place.epoch, place.index, domain))
        seed, draw = sequence.generate_state(2, np.uint32)
        return int(seed), int(draw)


DATASETS: dict[DatasetMode, type[UnpairedImages]] = {"unaligned": UnpairedImages}
