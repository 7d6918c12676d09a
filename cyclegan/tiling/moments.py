"""Mean and variance of what comes in parts."""

from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 1e-5  # as torch's normalisations add it to the variance


@dataclass(frozen=True)
class Moments:
    """Of every channel: the number of values, their mean (C) and summed squared distance (C)."""

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, part: Tensor) -> "Moments":
        """Of a part (1, C, H, W); float32 within it, float64 from then on."""
        full = part if part.dtype == torch.float64 else part.float()
        # Row by row of pixels of channels: var_mean takes four times as long in this layout.
        pixels = full.permute(0, 2, 3, 1).reshape(-1, full.shape[1])
        mean = pixels.mean(0)
        variance = (pixels - mean).square_().mean(0)
        return cls(len(pixels), mean.double(), variance.double() * len(pixels))

    def __add__(self, other: "Moments") -> "Moments":
        """Of both parts; Chan et al. 1983, "Algorithms for Computing the Sample Variance"."""
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        shared = apart.square() * (self.count * other.count / count)
        return Moments(count, mean, self.squares + other.squares + shared)

    @property
    def deviation(self) -> Tensor:
        """(C), with what torch adds to the variance; what is normalised is divided by it."""
        return (self.squares / self.count + EPSILON).sqrt()

    def normalize(self, part: Tensor) -> Tensor:
        """(1, C, H, W) to mean 0 and variance 1 over all parts, in the part's type."""
        full = part if part.dtype == torch.float64 else part.float()
        scale = self.deviation.reciprocal()
        scaled = full * scale.to(full.dtype).view(1, -1, 1, 1)
        shift = (self.mean * scale).to(full.dtype)
        return scaled.sub_(shift.view(1, -1, 1, 1)).to(part.dtype)
