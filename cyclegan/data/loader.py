"""The loader of batches, epoch after epoch, in an order that depends on the seed alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import torch
from torch import Tensor

from cyclegan import images
from cyclegan.data import DataSettings
from cyclegan.data.batch import Batch
from cyclegan.data.folders import list_images
from cyclegan.data.preprocess import CenterCrop
from cyclegan.data.processes import DeadlyTaskError, LoadingProcesses
from cyclegan.data.unpaired import LoadedImage, SamplePlace, UnpairedImages
from cyclegan.distributed import ALONE, Group
from cyclegan.errors import UserError, in_one_line

SamplePlaces = Sequence[SamplePlace]


class LoadingError(UserError):
    """Failure to load images; what was trained so far is intact."""


@dataclass(frozen=True)
class Failure:
    """Error of a data loader worker, as text: an exception would drag its traceback along."""

    text: str


class Loader:
    """Loader of the batches of any epoch, from any place in it.

    Loading processes are started with the first epoch and kept until the end.
    """

    def __init__(
        self,
        images: UnpairedImages,
        *,
        batch_size: int,
        workers: int,
        seed: int,
        serial: bool,
        pins: bool = False,
        at_end: Callable[[], None] = lambda: None,
        group: Group = ALONE,
    ) -> None:
        """`pins` gives batches in pinned memory; `at_end` is called when the loader is closed.

        The processes of a `group` share each batch of `batch_size`.
        """
        self._group = group
        self._at_end = at_end
        self.images = images
        self.batch_size = batch_size
        self._seed = seed
        self._serial = serial
        self._load = _Load(images)
        self._pins = pins
        self._processes: LoadingProcesses[SamplePlaces, Batch | Failure] | None = None
        if workers:
            self._processes = LoadingProcesses(self._load, workers, _share_cores)

    def __len__(self) -> int:
        """Return the images of each domain in an epoch."""
        return len(self.images)

    def order(self, epoch: int) -> list[SamplePlace]:
        """Return the places of an epoch, counted from 1, in random order unless serial.

        The order depends on seed and epoch alone.
        """
        length = len(self.images)
        if self._serial:
            return [SamplePlace(epoch, index) for index in range(length)]
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        order = torch.randperm(length, generator=generator).tolist()
        return [SamplePlace(epoch, index) for index in order]

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, counted from 1, without its first `skip` images.

        Raises LoadingError.
        """
        order, size = self.order(epoch)[skip:], self.batch_size
        wholes = [order[at : at + size] for at in range(0, len(order), size)]
        shares = [self._group.share(len(whole)) for whole in wholes]
        own = (
            whole if share is None else whole[share.start : share.stop]
            for whole, share in zip(wholes, shares, strict=True)
        )
        for batch, share in zip(self._loaded(own), shares, strict=True):
            if isinstance(batch, Failure):
                raise LoadingError(batch.text)
            batch = replace(batch, share=share)
            yield batch.pin_memory() if self._pins else batch

    def _loaded(self, groups: Iterable[SamplePlaces]) -> Iterator[Batch | Failure]:
        if self._processes is None:
            yield from map(self._load, groups)
            return
        try:
            yield from self._processes(groups)
        except DeadlyTaskError as error:
            raise LoadingError(self._deadly(error)) from None

    def _deadly(self, error: DeadlyTaskError) -> str:
        paths = [str(path) for place in error.task for path in self.images.paths_of(place)]
        more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
        return (
            f"loading {', '.join(paths[:4])}{more} killed two data loader workers "
            f"({error.cause}): leave out the file that causes it; if memory ran out, give "
            "--num_threads 1, or 0 to load in the training process"
        )

    def close(self) -> None:
        """End the data loader workers."""
        if self._processes is not None:
            self._processes.close()
        self._at_end()


@dataclass(frozen=True)
class _Load:
    """Function that loads the images of some places as one batch, and exceptions as values."""

    images: UnpairedImages

    def __call__(self, places: SamplePlaces) -> Batch | Failure:
        try:
            return _collate([self.images[place] for place in places])
        except UserError as error:
            return Failure(str(error))
        except Exception as error:  # a transform may raise anything
            line = f"{type(error).__name__}: {in_one_line(str(error))}"
            return Failure(f"loading an image failed: {line}")


def _share_cores() -> None:
    """Use one thread, as the data loader workers use all cores already."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _collate(pairs: Sequence[tuple[LoadedImage, LoadedImage]]) -> Batch | Failure:
    a, b = zip(*pairs, strict=True)
    sizes = {tuple(picture.image.shape[1:]) for picture in (*a, *b)}
    if len(pairs) > 1 and len(sizes) > 1:
        return Failure(f"images of {len(sizes)} sizes can't form a batch: give --batch_size 1")
    return Batch(
        torch.stack([picture.image for picture in a]),
        torch.stack([picture.image for picture in b]),
        frozenset(path for picture in (*a, *b) for path in picture.unreadable),
    )


def held_out(
    settings: DataSettings, folders: tuple[Path, Path], channels: tuple[int, int], count: int
) -> Batch:
    """Return at most `count` images of each domain, cut to squares of crop_size; nothing is random.

    `folders` hold the domains' images, preferably not trained on. Raises UserError if none can be
    read.
    """
    a, b = (
        _squares(list_images(folder), CenterCrop(settings.crop_size, number, settings.range), count)
        for folder, number in zip(folders, channels, strict=True)
    )
    if len(b) == 1:  # one painting for all photographs
        b = b * len(a)
    both = min(len(a), len(b))
    return Batch(torch.stack(a[:both]), torch.stack(b[:both]))


def _squares(paths: Sequence[Path], square: CenterCrop, count: int) -> list[Tensor]:
    """Return squares of images from all over the folder, as neighbours are often alike."""
    found: list[Tensor] = []
    count = min(count, len(paths))
    ends = [part * len(paths) // count for part in range(count + 1)]
    for start, end in pairwise(ends):
        image = _first_readable(paths[start:end], square)
        if image is not None:
            found.append(image)
    if not found:
        raise UserError(f"{paths[0].parent}: none of its {len(paths)} images can be read")
    return found


def _first_readable(paths: Sequence[Path], square: CenterCrop) -> Tensor | None:
    for path in paths:
        try:
            return square.of(path)
        except images.UnreadableImageError:
            continue
    return None
