"""Total variation: how much neighbouring pixels differ."""

import torch
from torch import Tensor

from cyclegan.metrics.collapse import luminance

# Of differences in colour alone: brushes leave edges of light, networks leave specks of colour.
_COLOUR = 5.0


def total_variation(images: Tensor) -> Tensor:
    """Images (N, C, H, W) -> the mean squared difference of neighbours, across and down; a scalar.

    The regulariser of Johnson et al. 2016, section 3.2, after Mahendran and Vedaldi 2015,
    "Understanding Deep Image Representations by Inverting Them", with their beta of 2. Of colour
    pictures, what is no difference in luminance counts many times more.
    """
    across = images[:, :, :, 1:] - images[:, :, :, :-1]
    down = images[:, :, 1:] - images[:, :, :-1]
    each = [_squares(one) for one in (across, down) if one.numel()]  # a row has nothing below it
    return torch.stack(each).sum() if each else images.sum() * 0


def _squares(differences: Tensor) -> Tensor:
    """Mean square of (N, C, h, w); a scalar."""
    if differences.shape[1] != 3:
        return differences.square().mean()
    colour = differences - luminance(differences).unsqueeze(1)
    return differences.square().mean() + _COLOUR * colour.square().mean()
