"""Features of real pictures, which never change: they are looked at once."""

import contextlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from cyclegan.atomic import atomic_write
from cyclegan.data.cache_folder import user_folder
from cyclegan.data.square import View
from cyclegan.evaluation.pictures import squares
from cyclegan.features.network import FeatureNetwork


def vectors_of(paths: Sequence[Path], view: View, network: FeatureNetwork) -> Tensor:
    """(N, D): what `network` sees in the pictures, from the user's cache where they are known."""
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
