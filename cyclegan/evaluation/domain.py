"""Pictures of one domain for the evaluation: files, crops and cached features."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from cyclegan import images
from cyclegan.atomic import atomic_write
from cyclegan.data.cache import user_folder
from cyclegan.data.folders import beside, folder_of_test_images, list_images, look_into
from cyclegan.data.preprocess import CenterCrop, Crops, View
from cyclegan.errors import UserError
from cyclegan.features.network import FeatureNetwork

log = logging.getLogger(__name__)

AT_ONCE = 16  # pictures


def wholes(paths: Sequence[Path], view: View) -> Iterator[Tensor]:
    """Yield batches (N, C, H, W) in [-1, 1] of whole pictures, as they are converted.

    Unreadable files are skipped with a warning. Raises UserError where no file can be read.
    """
    batch: list[Tensor] = []
    found = 0
    for path in paths:
        try:
            image = view.whole(path)
        except images.UnreadableImageError as error:
            log.warning("%s", error)
            continue
        batch.append(image)
        found += 1
        if len(batch) == (AT_ONCE if view.together else 1):
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)
    if not found:
        raise UserError(f"{paths[0].parent}: none of its {len(paths)} images can be read")


def cut(batches: Iterable[Tensor], view: View) -> Iterator[Tensor]:
    """Yield the compared crops (M, C, side, side) of batches of whole pictures (N, C, H, W)."""
    for batch in batches:
        yield torch.cat([view.cut(image) for image in batch])


def squares(paths: Sequence[Path], view: View) -> Iterator[Tensor]:
    """Yield batches (N, C, side, side) in [-1, 1] of compared crops, read as by `wholes`."""
    return cut(wholes(paths, view), view)


def spread_out(paths: Sequence[Path], count: int | None) -> list[Path]:
    """Return at most `count` of `paths`, evenly spread: neighbouring files are often alike."""
    if count is None or count >= len(paths):
        return list(paths)
    return [paths[place * len(paths) // count] for place in range(count)]


FEW = 8  # test pictures below which squares of them are compared, if they are large
LARGE = 2  # times the side of a square that a picture's shorter side then has at least
CROPS = 100  # squares of all test pictures of a domain together


@dataclass(frozen=True)
class EvaluationDomain:
    """One domain's files, and the crop that is compared of each."""

    test: list[Path]
    """to convert; held out from training, if the data set has such"""
    real: tuple[list[Path], ...]
    """all pictures, by folder: the reference for conversions into this domain"""
    twins: list[Path]
    """ground truth of each test picture in the other domain; empty if unknown"""
    square: CenterCrop

    def vectors(self, network: FeatureNetwork, crops: int) -> Tensor:
        """Return features (N, D) of all real pictures. Raises UserError."""
        view = view_of([path for paths in self.real for path in paths], self.square, crops)
        # A folder by itself, so that another test set's domain finds the training images known.
        return torch.cat([vectors_of(paths, view, network) for paths in self.real])


def open_domain(train: Path, square: CenterCrop, count: int | None) -> EvaluationDomain:
    """Return the domain with training images in `train`; at most `count` pictures are converted.

    Raises UserError where there are none.
    """
    folder = folder_of_test_images(train)
    if folder == train:
        log.warning("%s: no test images next to it, converting training images instead", train)
    test = list_images(folder, tell=True)
    real = (test,) if folder == train else (list_images(train, tell=True), test)
    chosen = spread_out(test, count)
    twins = [] if folder == train else _twins(chosen, folder, beside(train, "twins"))
    return EvaluationDomain(chosen, real, twins, square)


def view_of(paths: Sequence[Path], square: CenterCrop, crops: int) -> View:
    """Return the view that cuts about `crops` crops of all `paths`; 0 takes each as one."""
    return Crops(square, -(-crops // len(paths))) if crops else square


def crops_of(sets: Sequence[Sequence[Path]], side: int, asked: int | None) -> int:
    """Return how many crops are cut from each set of pictures, as `asked`; 0 takes them whole.

    If `asked` is None, `CROPS` are cut where any set holds few pictures that are large.
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
    """Return the pictures in `folder` named like `paths`, in order; none if some are missing."""
    if not folder.is_dir():
        return []
    known = {path.relative_to(folder).with_suffix(""): path for path in look_into(folder).images}
    names = [path.relative_to(test).with_suffix("") for path in paths]
    lacking = [str(name) for name in names if name not in known]
    if lacking:
        log.warning(
            "%s: no twin of %s in it: comparing with the other domain's images instead",
            *(folder, ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")),
        )
        return []
    return [known[name] for name in names]


def vectors_of(paths: Sequence[Path], view: View, network: FeatureNetwork) -> Tensor:
    """Return features (N, D) of the pictures, from the user's cache where they are known."""
    place = user_folder("features") / f"{_key(paths, view, network)}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        return torch.from_numpy(np.load(place))
    seen = torch.cat([network(batch).vectors for batch in squares(paths, view)])
    with contextlib.suppress(OSError):  # a full disk makes the next time slow, no more
        _keep(seen, place)
    return seen


def _keep(vectors: Tensor, place: Path) -> None:
    with atomic_write(place, shared=True) as unfinished, unfinished.open("wb") as file:
        np.save(file, vectors.numpy())


def _key(paths: Sequence[Path], view: View, network: FeatureNetwork) -> str:
    whole = sha256(f"{network.name} {network.origin} {view} {PIL.__version__}".encode())
    for path in paths:
        state = path.stat()
        whole.update(
            f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode(errors="replace")
        )
    return whole.hexdigest()[:32]
