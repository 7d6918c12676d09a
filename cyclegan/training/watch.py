"""Finds the first loss that is not finite without making the device wait."""

import torch
from torch import Tensor

from cyclegan.training.step import StepResult

#: So many updates in a row that the gradient scaler leaves out are no search for a scale any more.
PATIENCE = 30


class LossWatch:
    """Keeps, on the device, where each loss was NaN or infinite for the first time."""

    def __init__(self) -> None:
        self._first: dict[str, Tensor] = {}
        self._skips: Tensor | None = None

    def note(self, result: StepResult, images: int) -> None:
        """Look at the losses of the step that ended after `images`; nothing is read."""
        excused = self._excused(result)
        for name, loss in result.losses.items():
            bad = ~loss.isfinite() if excused is None else ~loss.isfinite() & ~excused
            first = self._first.get(name, torch.full_like(loss, torch.inf))
            self._first[name] = torch.where(bad, first.clamp(max=images), first)

    def broken(self) -> dict[str, int]:
        """The losses that were not finite, and after how many images for the first time."""
        if not self._first:
            return {}
        read = torch.stack(list(self._first.values())).tolist()
        return {
            name: int(images)
            for name, images in zip(self._first, read, strict=True)
            if images != torch.inf
        }

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
