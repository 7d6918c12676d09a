"""Where in a run one is."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Position:
    """A place between two steps."""

    epoch: int = 1
    """the epoch in progress, counted from 1"""
    images_in_epoch: int = 0
    """images of each domain that this epoch has seen"""
    images: int = 0
    """images of each domain that the run has seen"""

    def __str__(self) -> str:
        return f"epoch {self.epoch}, {self.images:,} images"

    def after(self, batch: int) -> "Position":
        """The place a batch of so many images later."""
        return replace(
            self, images_in_epoch=self.images_in_epoch + batch, images=self.images + batch
        )

    def next_epoch(self) -> "Position":
        """The start of the next epoch."""
        return replace(self, epoch=self.epoch + 1, images_in_epoch=0)

    def passed(self, earlier: "Position", every: int) -> bool:
        """Whether a multiple of `every` images lies after `earlier` and not after this place.

        Counted this way nothing is skipped where the batch size doesn't divide the frequency.
        `every` 0 is never.
        """
        return every > 0 and self.images // every > earlier.images // every
