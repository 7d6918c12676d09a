"""Consistency of what a picture is like from afar: brushes may change its pixels."""

from torch import Tensor
from torch.nn import functional

from cyclegan.losses.adversarial import Judge
from cyclegan.translation import Translation

FINE = 4  # pixels that are one from afar, for the cycle
COARSE = 32  # pixels on a side of what is left of an image, for its colours and light


def lowpass_cycle(translation: Translation, judge: Judge) -> Tensor:
    """The cycle's mean absolute difference at a quarter of the side; a scalar in [0, 2].

    Needs `translation.cycled`.
    """
    assert translation.cycled is not None
    return (_quarter(translation.cycled) - _quarter(translation.source)).abs().mean()


def consistency(translation: Translation, judge: Judge) -> Tensor:
    """Mean absolute difference of source and fake, both shrunk to 32 pixels; a scalar in [0, 2].

    Torbunov et al. 2023, "Rethinking CycleGAN: Improving Quality of GANs for Unpaired
    Image-to-Image Translation" (UVCGAN2), pixel-wise consistency loss. The domains' images have the
    same number of channels.
    """
    return (_small(translation.fake) - _small(translation.source)).abs().mean()


def _quarter(images: Tensor) -> Tensor:
    return functional.avg_pool2d(images, FINE, ceil_mode=True, count_include_pad=False)


def _small(images: Tensor) -> Tensor:
    sides = (min(COARSE, images.shape[2]), min(COARSE, images.shape[3]))
    return functional.adaptive_avg_pool2d(images, sides)
