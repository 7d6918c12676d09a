"""PatchGANs that look at the same image at several sizes."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.discriminators.patch import PatchDiscriminator
from cyclegan.layers.settings import Norm


class MultiscaleDiscriminator(nn.Module):
    """(N, input_nc, H, W) in [-1, 1] -> (N, n_scales, h, w), unbounded.

    One discriminator for each size, each half the one before: the coarse ones see composition, the
    finest brush strokes. Wang et al. 2018, "High-Resolution Image Synthesis and Semantic
    Manipulation with Conditional GANs", section 3.2. Coarse scores are repeated to the finest's
    size, so that every scale counts the same.
    """

    def __init__(
        self, input_nc: int, ndf: int, n_layers: int, n_scales: int, *, norm: Norm
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(input_nc, ndf, n_layers, norm=norm) for _ in range(n_scales)
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: list[Tensor] = []
        for scale in self.scales:
            scores.append(scale(x))
            x = functional.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
        size = scores[0].shape[2:]
        return torch.cat([functional.interpolate(one, size, mode="nearest") for one in scores], 1)
