"""Batches, epoch after epoch, in an order that the seed alone decides."""

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from cyclegan.data.unpaired import Picture, Place, UnpairedImages
from cyclegan.errors import UserError


@dataclass(frozen=True)
class Failure:
    """What went wrong in a loading process; an exception there would drag its traceback along."""

    text: str


@dataclass(frozen=True)
class Batch:
    """Images of both domains, (N, C, H, W) in [-1, 1]; the domains' sizes may differ."""

    a: Tensor
    b: Tensor
    unreadable: frozenset[Path] = frozenset()
    """files that were passed over on the way"""

    def __len__(self) -> int:
        return self.a.shape[0]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device; from pinned memory the copy runs beside."""
        a, b = (images.to(device, non_blocking=True) for images in (self.a, self.b))
        return Batch(a, b, self.unreadable)

    def pin_memory(self) -> "Batch":
        """The same batch where a GPU reads it while the CPU goes on; the loader calls this."""
        return Batch(self.a.pin_memory(), self.b.pin_memory(), self.unreadable)


class EpochOrder(Sampler[Place]):
    """The places of one epoch, shuffled by (seed, epoch) unless `serial`, from `skip` on."""

    def __init__(self, length: int, *, seed: int, serial: bool) -> None:
        self._length = length
        self._seed = seed
        self._serial = serial
        self.epoch = 1
        self.skip = 0

    def __iter__(self) -> Iterator[Place]:
        if self._serial:
            order = list(range(self._length))
        else:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
            order = torch.randperm(self._length, generator=generator).tolist()
        return iter([Place(self.epoch, index) for index in order[self.skip :]])

    def __len__(self) -> int:
        return self._length - self.skip


class Feed:
    """Gives the batches of any epoch, from any place in it.

    Processes that load are started with the first epoch and kept until the end.
    """

    def __init__(
        self,
        images: UnpairedImages,
        *,
        batch_size: int,
        workers: int,
        seed: int,
        serial: bool,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`at_end` is called when the feed is closed."""
        self._at_end = at_end
        self.images = images
        self.batch_size = batch_size
        self._order = EpochOrder(len(images), seed=seed, serial=serial)
        self._loader = DataLoader(
            _Guarded(images),
            batch_size=batch_size,
            sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=_collate,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_prepare_worker,
            # Its own generator: the loader must not draw from the one that training uses,
            # or a run that was stopped within an epoch would go on with other numbers.
            generator=torch.Generator().manual_seed(seed),
        )

    def __len__(self) -> int:
        """Images of each domain in an epoch."""
        return len(self.images)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1, without its first `skip` images."""
        self._order.epoch = epoch
        self._order.skip = skip
        for batch in self._loader:
            if isinstance(batch, Failure):
                raise UserError(batch.text)
            yield batch

    def close(self) -> None:
        """End the loading processes: they ignore the signal that Python's own exit sends them."""
        iterator = self._loader._iterator
        if isinstance(iterator, _MultiProcessingDataLoaderIter):
            iterator._shutdown_workers()
        self._at_end()


class _Guarded(Dataset[tuple[Picture, Picture] | Failure]):
    """The data set, its exceptions as values."""

    def __init__(self, images: UnpairedImages) -> None:
        self._images = images

    def __getitem__(self, place: Place) -> tuple[Picture, Picture] | Failure:
        try:
            return self._images[place]
        except UserError as error:
            return Failure(str(error))
        except Exception as error:  # a transform may raise anything
            line = " ".join(str(error).split())[:200]
            return Failure(f"loading an image failed: {type(error).__name__}: {line}")


def _collate(samples: Sequence[tuple[Picture, Picture] | Failure]) -> Batch | Failure:
    pairs = []
    for sample in samples:
        if isinstance(sample, Failure):
            return sample
        pairs.append(sample)
    a, b = zip(*pairs, strict=True)
    sizes = {tuple(picture.image.shape[1:]) for picture in (*a, *b)}
    if len(pairs) > 1 and len(sizes) > 1:
        return Failure(f"images of {len(sizes)} sizes can't form a batch: give --batch_size 1")
    return Batch(
        torch.stack([picture.image for picture in a]),
        torch.stack([picture.image for picture in b]),
        frozenset(path for picture in (*a, *b) for path in picture.unreadable),
    )


def _prepare_worker(worker: int) -> None:
    # Ctrl-C reaches the whole group of processes; the trainer decides when the loading ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)  # the workers share the cores already
    torch.set_num_threads(1)
