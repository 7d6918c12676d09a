"""The discriminator of single pixels."""

from typing import cast

from torch import Tensor, nn

from cyclegan.layers.convolution import Convolution, FinalConvolution
from cyclegan.layers.normalization import NORMS, convolution_has_bias
from cyclegan.layers.settings import Norm


class PixelDiscriminator(nn.Module):
    """Score every pixel: (N, input_nc, H, W) in [-1, 1] -> (N, 1, H, W), unbounded.

    The 1x1 PatchGAN of Isola et al. 2017, section 4.4: it sees colours, no structure.
    """

    def __init__(self, input_nc: int, ndf: int = 64, *, norm: Norm = "instance") -> None:
        super().__init__()
        bias = convolution_has_bias(norm)
        self.net = nn.Sequential(
            Convolution(input_nc, ndf, 1),
            nn.LeakyReLU(0.2, inplace=True),
            Convolution(ndf, ndf * 2, 1, bias=bias),
            NORMS[norm](ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            FinalConvolution(ndf * 2, 1, 1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.net(x))
