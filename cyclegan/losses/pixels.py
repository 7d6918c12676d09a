"""Loss terms that compare pixels: with the source, with the target, with their neighbours."""

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.metrics.collapse import luminance
from cyclegan.translation import Translation

FINE = 4  # pixels that are one from afar, for the cycle
COARSE = 32  # pixels on a side of what is left of an image, for its colours and light
# Of differences in colour alone: brushes leave edges of light, networks leave specks of colour.
_COLOUR = 5.0


def cycle(translation: Translation) -> Tensor:
    """Mean absolute difference of the source to its way there and back.

    Zhu et al. 2017, section 3.2. Needs `translation.cycled`. Returns a scalar in [0, 2].
    """
    assert translation.cycled is not None
    return (translation.cycled - translation.source).abs().mean()


def identity(translation: Translation) -> Tensor:
    """Mean absolute difference of the target to what the generator makes of it.

    Zhu et al. 2017, section 5.2. Needs `translation.identity`. Returns a scalar in [0, 2].
    """
    assert translation.identity is not None
    return (translation.identity - translation.target).abs().mean()


def lowpass_cycle(translation: Translation) -> Tensor:
    """The cycle's mean absolute difference at a quarter of the side; a scalar in [0, 2].

    Needs `translation.cycled`.
    """
    assert translation.cycled is not None
    return (_quarter(translation.cycled) - _quarter(translation.source)).abs().mean()


def consistency(translation: Translation) -> Tensor:
    """Mean absolute difference of source and fake, both shrunk to 32 pixels; a scalar in [0, 2].

    Torbunov et al. 2023, "Rethinking CycleGAN: Improving Quality of GANs for Unpaired
    Image-to-Image Translation" (UVCGAN2), pixel-wise consistency loss. The domains' images have the
    same number of channels.
    """
    return (_small(translation.fake) - _small(translation.source)).abs().mean()


def total_variation(translation: Translation) -> Tensor:
    """How much neighbouring pixels of the fake differ. A scalar."""
    return variation(translation.fake)


def variation(images: Tensor) -> Tensor:
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


def _quarter(images: Tensor) -> Tensor:
    return functional.avg_pool2d(images, FINE, ceil_mode=True, count_include_pad=False)


def _small(images: Tensor) -> Tensor:
    sides = (min(COARSE, images.shape[2]), min(COARSE, images.shape[3]))
    return functional.adaptive_avg_pool2d(images, sides)
