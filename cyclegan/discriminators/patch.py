"""The PatchGAN discriminator."""

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from cyclegan.layers.convolution import Convolution, FinalConvolution
from cyclegan.layers.normalization import NORMS, convolution_has_bias
from cyclegan.layers.settings import Norm


class PatchDiscriminator(nn.Module):
    """Score overlapping patches: (N, input_nc, H, W) in [-1, 1] -> (N, 1, h, w), unbounded.

    A patch is 70 pixels wide with `n_layers` 3. Isola et al. 2017, "Image-to-Image Translation
    with Conditional Adversarial Networks", section 3.2.2. No sigmoid: the loss has it, if any.
    """

    def __init__(
        self, input_nc: int, ndf: int = 64, n_layers: int = 3, *, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        bias = convolution_has_bias(norm)
        widths = [ndf * min(2**layer, 8) for layer in range(n_layers + 1)]
        strides = [2] * (n_layers - 1) + [1]
        layers: list[nn.Module] = [Convolution(input_nc, ndf, 4, 2, padding=1), _leaky()]
        for (narrow, wide), stride in zip(pairwise(widths), strides, strict=True):
            convolution = Convolution(narrow, wide, 4, stride, padding=1, bias=bias)
            layers += [convolution, NORMS[norm](wide), _leaky()]
        self.model = nn.Sequential(*layers, FinalConvolution(widths[-1], 1, 4, 1, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model(x))


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)
