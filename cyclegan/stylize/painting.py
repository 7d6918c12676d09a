"""From coarse to fine: what is large in a style first, then its brush strokes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import make_objective
from cyclegan.losses.perceptual.look import Perceptual
from cyclegan.stylize import Method, Start
from cyclegan.stylize.optimise import BestPicture, Watch, optimise
from cyclegan.translation import Translation

COARSEST = 64  # pixels of a shorter side; what is smaller has no style to speak of


@dataclass(frozen=True)
class StylizeProblem:
    """What is minimised, for how long, at how many sizes, and from where on."""

    perceptual: Perceptual
    weights: Mapping[str, float]
    """of the loss terms, by name"""
    scales: int = 3
    steps: int = 200
    """at each size"""
    method: Method = "lbfgs"
    lr: float = 0.01
    start: Start = "content"
    seed: int = 0

    def shares(self, photo: Tensor, painting: Tensor) -> list[float]:
        """The sizes to paint at, as shares of the full one, from coarse to fine."""
        fewest = max(COARSEST, self.perceptual.smallest)
        shorter = min(*photo.shape[2:], *painting.shape[2:])
        halved = [0.5**number for number in reversed(range(self.scales))]
        return [share for share in halved if share == 1 or shorter * share >= fewest]

    def steps_of(self, photo: Tensor, painting: Tensor) -> float:
        """All its steps, as so many at the full size."""
        return self.steps * sum(share**2 for share in self.shares(photo, painting))

    def __call__(self, photo: Tensor, painting: Tensor, watch: Watch) -> BestPicture:
        """`photo` painted like `painting`, (1, 3, H, W) each, in [-1, 1] and of any sizes.

        The result has the photograph's size, unless `watch` stopped it before that was reached.
        """
        best: BestPicture | None = None
        for share in self.shares(photo, painting):
            smaller = resized(photo, share)
            start = self._beginning(smaller) if best is None else fitted(best.picture, smaller)
            best = self._at(share, smaller, resized(painting, share), start, watch)
            if watch.stops():
                break
        assert best is not None
        return best

    def _at(
        self, share: float, photo: Tensor, painting: Tensor, start: Tensor, watch: Watch
    ) -> BestPicture:
        seeing = self.perceptual.keeping(content=[photo], style=[painting])
        objective = make_objective(self.weights, LossContext(make_perceptual=lambda: seeing))

        def losses(picture: Tensor) -> Mapping[str, Tensor]:
            return objective(Translation(photo, painting, picture, None, None))

        return optimise(start, losses, self.method, self.steps, watch, lr=self.lr, share=share**2)

    def _beginning(self, photo: Tensor) -> Tensor:
        if self.start == "content":
            return photo
        generator = torch.Generator().manual_seed(self.seed)  # the same on every device
        return (torch.rand(photo.shape, generator=generator) * 2 - 1).to(photo.device)


def resized(images: Tensor, share: float) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] at a share of their size."""
    height, width = (max(1, round(side * share)) for side in images.shape[2:])
    return _scaled(images, height, width)


def fitted(images: Tensor, like: Tensor) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] at the size of `like`."""
    return _scaled(images, like.shape[2], like.shape[3])


def _scaled(images: Tensor, height: int, width: int) -> Tensor:
    if images.shape[2:] == (height, width):
        return images
    return functional.interpolate(
        images, (height, width), mode="bicubic", antialias=True, align_corners=False
    ).clamp(-1, 1)
