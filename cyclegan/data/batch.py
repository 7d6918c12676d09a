"""A batch of both domains, as training takes it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan.distributed import BatchShare


@dataclass(frozen=True)
class Batch:
    """Images of both domains, (N, C, H, W) in [-1, 1]; the domains' sizes may differ."""

    a: Tensor
    b: Tensor
    unreadable: frozenset[Path] = frozenset()
    """files that were skipped"""
    share: BatchShare | None = None
    """what it is of a batch of several processes"""

    def __len__(self) -> int:
        return self.a.shape[0]

    @property
    def whole(self) -> int:
        """Images of each domain in the batch of all processes."""
        return len(self) if self.share is None else self.share.whole

    @property
    def weight(self) -> int:
        """Images of each domain that count towards that."""
        return len(self) if self.share is None or self.share.counts else 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the tensors as arrays: torch would send its tensors through /dev/shm."""
        return _from_arrays, (self.a.numpy(), self.b.numpy(), self.unreadable)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on another device; copies from pinned memory are asynchronous."""
        a, b = (images.to(device, non_blocking=True) for images in (self.a, self.b))
        return replace(self, a=a, b=b)

    def pin_memory(self) -> "Batch":
        """Return the batch in pinned memory, which a GPU reads while the CPU goes on."""
        return replace(self, a=self.a.pin_memory(), b=self.b.pin_memory())


def _from_arrays(a: Any, b: Any, unreadable: frozenset[Path]) -> Batch:
    return Batch(torch.from_numpy(a), torch.from_numpy(b), unreadable)
