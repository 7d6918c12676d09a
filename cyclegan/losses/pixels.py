"""Loss terms that compare pixels: with the source, with the target, with their neighbours."""

import torch
from torch import Tensor
from torch.nn import functional

from cyclegan.logged import Logged
from cyclegan.metrics.collapse import luminance
from cyclegan.translation import Translation

FINE = 4  # pixels that are one from afar, for the cycle
COARSE = 32  # pixels on a side of what is left of an image, for its colours and light
# Of differences in colour alone: brushes leave edges of light, networks leave specks of colour.
_COLOUR = 5.0
_SQUARE = 32  # pixels a side of what is painted grey
_GREY = 0.4  # of all squares
#: Loss of generators that only restore images, as it is logged.
PRETRAINING = Logged("pretraining", title="pretraining (restored squares)", order=0)


def cycle(translation: Translation) -> Tensor:
    """Return the mean absolute difference of the source to its way there and back.

    Zhu et al. 2017, section 3.2. Needs `translation.cycled`. A scalar in [0, 2].
    """
    assert translation.cycled is not None
    return (translation.cycled - translation.source).abs().mean()


def identity(translation: Translation) -> Tensor:
    """Return the mean absolute difference of the target to what the generator makes of it.

    Zhu et al. 2017, section 5.2. Needs `translation.identity`. A scalar in [0, 2].
    """
    assert translation.identity is not None
    return (translation.identity - translation.target).abs().mean()


def with_gaps(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] with squares of a grid painted grey, 2 in 5 at random.

    Drawn from torch's generator of their device, alike for all images of a batch: processes that
    share one see the same. Torbunov et al. 2023, "UVCGAN: UNet Vision Transformer Cycle-consistent
    GAN for Unpaired Image-to-Image Translation", with its squares of 32 pixels.
    """
    height, width = images.shape[2:]
    side = max(1, min(_SQUARE, height // 4, width // 4))
    grid = torch.rand(1, 1, -(-height // side), -(-width // side), device=images.device) < _GREY
    squares = grid.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return images.masked_fill(squares[:, :, :height, :width], 0.0)


def restoration(translation: Translation) -> Tensor:
    """Return the mean absolute difference of the target to the fake, made of a target with gaps."""
    return (translation.fake - translation.target).abs().mean()


def lowpass_cycle(translation: Translation) -> Tensor:
    """Return the cycle's mean absolute difference at a quarter of the side; a scalar in [0, 2].

    Needs `translation.cycled`.
    """
    assert translation.cycled is not None
    return (_quarter(translation.cycled) - _quarter(translation.source)).abs().mean()


def consistency(translation: Translation) -> Tensor:
    """Return the mean absolute difference of source and fake at 32 pixels; a scalar in [0, 2].

    Torbunov et al. 2023, "Rethinking CycleGAN: Improving Quality of GANs for Unpaired
    Image-to-Image Translation" (UVCGAN2), pixel-wise consistency loss. The domains' images have the
    same number of channels.
    """
    return (_small(translation.fake) - _small(translation.source)).abs().mean()


def total_variation(translation: Translation) -> Tensor:
    """Return how much neighbouring pixels of the fake differ, a scalar."""
    return variation(translation.fake)


def variation(images: Tensor) -> Tensor:
    """Return the mean squared difference of neighbouring pixels of images (N, C, H, W), a scalar.

    Across and down: the regulariser of Johnson et al. 2016, section 3.2, after Mahendran and
    Vedaldi 2015, "Understanding Deep Image Representations by Inverting Them", with their beta of
    2. In colour pictures, differences other than of luminance count many times more.
    """
    across = images[:, :, :, 1:] - images[:, :, :, :-1]
    down = images[:, :, 1:] - images[:, :, :-1]
    each = [_squares(one) for one in (across, down) if one.numel()]  # a row has nothing below it
    return torch.stack(each).sum() if each else images.sum() * 0


def _squares(differences: Tensor) -> Tensor:
    """Return the mean square of differences (N, C, h, w), colours weighted; a scalar."""
    if differences.shape[1] != 3:
        return differences.square().mean()
    colour = differences - luminance(differences).unsqueeze(1)
    return differences.square().mean() + _COLOUR * colour.square().mean()


def _quarter(images: Tensor) -> Tensor:
    return functional.avg_pool2d(images, FINE, ceil_mode=True, count_include_pad=False)


def _small(images: Tensor) -> Tensor:
    sides = (min(COARSE, images.shape[2]), min(COARSE, images.shape[3]))
    return functional.adaptive_avg_pool2d(images, sides)
