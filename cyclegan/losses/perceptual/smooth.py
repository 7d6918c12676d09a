"""Total variation: how much neighbouring pixels differ."""

import torch
from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Images (N, C, H, W) -> the mean squared difference of neighbours, across and down; a scalar.

    The regulariser of Johnson et al. 2016, section 3.2, after Mahendran and Vedaldi 2015,
    "Understanding Deep Image Representations by Inverting Them", with their beta of 2.
    """
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).square()
    down = (images[:, :, 1:] - images[:, :, :-1]).square()
    each = [one.mean() for one in (across, down) if one.numel()]  # a row has nothing below it
    return torch.stack(each).sum() if each else images.sum() * 0
