"""Optimisation of a picture's pixels, from coarse to fine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import LBFGS, Adam, Optimizer

from cyclegan.losses import ScheduledWeight
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import make_objective
from cyclegan.losses.perceptual import Perceptual
from cyclegan.stylize import Method, Start
from cyclegan.translation import Translation

#: Pictures (1, 3, H, W) in [-1, 1] -> named losses, whose sum is minimised.
PictureObjective = Callable[[Tensor], Mapping[str, Tensor]]

# Columns: what a step in light, and in each of the two colour differences (ITU-R BT.601), adds to
# red, green and blue. Colours take shorter steps, as they have the smaller part of a picture.
_BASIS = ((1.0, 0.0, 0.561), (1.0, -0.138, -0.286), (1.0, 0.709, 0.0))
_COARSER = 1.4  # how much longer a step is at each next coarser size
_COARSEST = 8  # pixels of a shorter side
_BEYOND = 100.0  # weight of what is cut: no other loss brings it back


@dataclass(frozen=True)
class BestPicture:
    """The best picture so far, and its losses."""

    picture: Tensor
    """(1, 3, H, W) in [-1, 1]"""
    losses: Mapping[str, float]

    @property
    def total(self) -> float:
        """Sum of the losses; infinite before any is known."""
        return sum(self.losses.values()) if self.losses else inf


@dataclass(frozen=True)
class Optimisation:
    """One method of optimisation."""

    make: Callable[[list[Tensor], float], Optimizer]
    """(levels, learning rate) -> optimizer"""
    stalls: bool
    """whether to stop after a step without improvement"""


#: The one table of methods (`--method`).
METHODS: Mapping[Method, Optimisation] = {
    # Gatys et al. 2016, section 2.3; with a line search, no step makes it worse.
    "lbfgs": Optimisation(
        lambda levels, lr: LBFGS(
            levels,
            max_iter=20,
            history_size=10,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        ),
        stalls=True,
    ),
    "adam": Optimisation(lambda levels, lr: Adam(levels, lr=lr), stalls=False),
}


@dataclass(frozen=True)
class Watch:
    """Callbacks of an optimisation, which report on it and can stop it."""

    tell: Callable[[BestPicture, float], None]
    """called after each step with the best so far and the share of a full-size step"""
    stops: Callable[[], bool]
    """whether the best so far is enough"""


@dataclass(frozen=True)
class Pyramid:
    """Changes to a picture, at sizes that halve, in light and two colour differences.

    Gradients through a network with strides say more of single pixels than of the shapes they form:
    pixels that are improved one by one end as coloured noise. Here steps go to large shapes first.
    Olah et al. 2017, "Feature Visualization", on preconditioning, and Denton et al. 2015 on levels.
    """

    start: Tensor
    """(1, 3, H, W) in [-1, 1]"""
    added: list[Tensor]
    """(1, 3, h, w) each, from fine to coarse"""

    @classmethod
    def of(cls, start: Tensor) -> "Pyramid":
        """Return a pyramid that adds nothing to `start` yet."""
        height, width = start.shape[2:]
        added = [start.new_zeros(1, 3, height, width, requires_grad=True)]
        while min(height, width) >= 2 * _COARSEST:
            height, width = -(-height // 2), -(-width // 2)
            added.append(start.new_zeros(1, 3, height, width, requires_grad=True))
        return cls(start, added)

    def whole(self) -> Tensor:
        """Return the changed picture (1, 3, H, W), near [-1, 1]."""
        *finer, made = self.added
        for level in reversed(finer):
            size = (level.shape[2], level.shape[3])
            coarse = functional.interpolate(made, size, mode="bilinear", align_corners=False)
            made = level + _COARSER * coarse
        colours = torch.einsum("ij,njhw->nihw", made.new_tensor(_BASIS), made)
        return self.start + colours


class _EnoughError(Exception):
    """Exception that ends an optimizer amid its steps."""


def optimise(
    start: Tensor,
    objective: PictureObjective,
    method: Method,
    steps: int,
    watch: Watch,
    *,
    lr: float,
    share: float = 1.0,
) -> BestPicture:
    """Optimise a picture from `start`, (1, 3, H, W) in [-1, 1]; return the best of `steps` ones.

    Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks". Ends earlier
    where `watch` stops it, and where nothing gets better any more. Losses are those of pixels that
    a file can hold: values beyond the range are cut before the losses see them, and minimised too.
    `share` is passed on to `watch.tell`.
    """
    levels = Pyramid.of(start)
    optimizer = METHODS[method].make(levels.added, lr)
    best, taken = BestPicture(start, {}), 0

    def look() -> Tensor:
        nonlocal best, taken
        optimizer.zero_grad()
        whole = levels.whole()
        picture = whole.clamp(-1, 1)
        losses = objective(picture)
        total = torch.stack(list(losses.values())).sum()
        value = total.item()
        total = total + _BEYOND * (whole - picture.detach()).square().mean()
        total.backward()  # type: ignore[no-untyped-call]
        taken += 1
        if value < best.total:
            named = {name: one.item() for name, one in losses.items()}
            best = BestPicture(picture.detach().clone(), named)
        watch.tell(best, share)
        if taken >= steps or watch.stops() or not isfinite(value):
            raise _EnoughError
        return total

    try:
        helped = True
        while helped or not METHODS[method].stalls:
            before = best.total
            optimizer.step(look)  # type: ignore[arg-type]
            helped = best.total < before
    except _EnoughError:
        pass
    return best


COARSEST = 64  # pixels of a shorter side; what is smaller has no style to speak of


@dataclass(frozen=True)
class StylizeProblem:
    """Weights of the losses, and the sizes, steps and start of a painting."""

    perceptual: Perceptual
    weights: Mapping[str, float | ScheduledWeight]
    """of the loss terms, by name"""
    scales: int = 3
    steps: int = 200
    """per scale"""
    method: Method = "lbfgs"
    lr: float = 0.01
    start: Start = "content"
    seed: int = 0

    def shares(self, photo: Tensor, painting: Tensor) -> list[float]:
        """Return the sizes to paint at, as shares of the full one, from coarse to fine."""
        fewest = max(COARSEST, self.perceptual.smallest)
        shorter = min(*photo.shape[2:], *painting.shape[2:])
        halved = [0.5**number for number in reversed(range(self.scales))]
        return [share for share in halved if share == 1 or shorter * share >= fewest]

    def steps_of(self, photo: Tensor, painting: Tensor) -> float:
        """Return the cost of all steps, counted in steps at the full size."""
        return self.steps * sum(share**2 for share in self.shares(photo, painting))

    def __call__(self, photo: Tensor, painting: Tensor, watch: Watch) -> BestPicture:
        """Paint `photo` like `painting`, (1, 3, H, W) each, in [-1, 1] and of any sizes.

        The result has the photograph's size, unless `watch` stopped before that was reached.
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
    """Resize images (N, C, H, W) in [-1, 1] to a share of their size."""
    height, width = (max(1, round(side * share)) for side in images.shape[2:])
    return _scaled(images, height, width)


def fitted(images: Tensor, like: Tensor) -> Tensor:
    """Resize images (N, C, H, W) in [-1, 1] to the size of `like`."""
    return _scaled(images, like.shape[2], like.shape[3])


def _scaled(images: Tensor, height: int, width: int) -> Tensor:
    if images.shape[2:] == (height, width):
        return images
    return functional.interpolate(
        images, (height, width), mode="bicubic", antialias=True, align_corners=False
    ).clamp(-1, 1)
