"""Finds the first loss that is not finite without making the device wait."""

import torch
from torch import Tensor

from cyclegan.training.step import StepResult

#: So many updates in a row that the gradient scaler leaves out are no search for a scale any more.
PATIENCE = 30


class LossWatch:
    """Keeps, on the device, where each loss was NaN or infinite for the first time.

    All losses of a step are looked at as one vector: a GPU is given a few operations, not a few
    for each.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, ...], Tensor] = {}
        """by the names of the losses that steps had together: some have no turn in every step"""
        self._skips: Tensor | None = None

    def note(self, result: StepResult, images: int) -> None:
        """Look at the losses of the step that ended after `images`; nothing is read."""
        names, losses = tuple(result.losses), torch.stack(list(result.losses.values()))
        excused = self._excused(result)
        good = losses.isfinite() if excused is None else losses.isfinite() | excused
        first = self._first.get(names)
        if first is None:
            first = torch.full_like(losses, torch.inf)
        self._first[names] = torch.where(good, first, first.clamp(max=images))

    def broken(self) -> dict[str, int]:
        """The losses that were not finite, and after how many images for the first time."""
        if not self._first:
            return {}
        names = [name for group in self._first for name in group]
        read = torch.cat(list(self._first.values())).tolist()
        found: dict[str, int] = {}
        for name, images in zip(names, read, strict=True):
            if images != torch.inf:
                found[name] = min(int(images), found.get(name, int(images)))
        return found

    def _excused(self, result: StepResult) -> Tensor | None:
        """A step that was left out for its overflow changed nothing: no NaN lives on."""
        if result.skipped is None:
            return None
        skips = (
            torch.zeros_like(result.skipped, dtype=torch.int)
            if self._skips is None
            else (self._skips)
        )
        self._skips = torch.where(result.skipped, skips + 1, 0)
        return result.skipped & (self._skips < PATIENCE)
