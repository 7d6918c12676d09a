"""Settings become a fusion network, and so does what a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cyclegan.features.layered import LayeredNetwork
from cyclegan.features.settings import LayeredName
from cyclegan.features.table import BLANK
from cyclegan.fusion.decoder import Decoder
from cyclegan.fusion.encoder import Encoder
from cyclegan.fusion.network import FusionNetwork
from cyclegan.fusion.settings import FusionSettings
from cyclegan.fusion.table import FUSIONS
from cyclegan.generators.settings import FULL_MAPS
from cyclegan.layers.settings import Norm

#: Where content and style are joined, unless another layer is asked for.
LAYERS: Mapping[str, str] = {
    "vgg19": "relu4_1",  # Huang and Belongie 2017, section 5
    "efficientnet-lite0": "block2",  # later ones have lost the colours
    "plain": "conv3",
}
_WIDEST = 64  # feature maps of VGG-19 at full size


def fusion_network(
    features: LayeredNetwork, settings: FusionSettings, output_nc: int
) -> FusionNetwork:
    """The network on the layers of `features`; decoder and fusion module are drawn by torch.

    Raises UsageError where there is no such layer.
    """
    wanted = settings.fusion_layer or LAYERS[features.name]
    (layer,) = features.chosen((wanted,), "fusion_layer")
    encoder = Encoder(features, layer)
    fusion = FUSIONS[settings.fusion](encoder.channels)
    matched = settings.match_colors and output_nc == 3
    width = settings.decoder_width
    decoder = Decoder(encoder.channels, encoder.scale, output_nc, width, bounded=not matched)
    return FusionNetwork(encoder, fusion, decoder, match_colors=matched)


@dataclass(frozen=True)
class Blueprint:
    """What the converter asks of a generator's settings, of a fusion network.

    All its weights lie in the checkpoint, the encoder's too.
    """

    settings: FusionSettings
    features: LayeredName
    prepared: bool
    """whether a layer before the others prepares the colours"""
    multiple: int
    """pixels of the image to each of the joined maps"""
    netG: Literal["fusion"] = "fusion"
    dropout: bool = False
    residual: bool = False
    reach: None = None
    """statistics are those of the whole picture"""

    @classmethod
    def of(
        cls, settings: FusionSettings, features: LayeredName, weights: Mapping[str, Tensor]
    ) -> "Blueprint":
        """Of the network with these weights."""
        # The entry's scales and shifts have a first dimension of 1.
        first = next(each for each in weights.values() if each.ndim == 4 and each.shape[0] > 1)
        prepared = first.shape[2:] == (1, 1)
        with torch.device("meta"):
            network = fusion_network(BLANK[features](prepared), settings, 3)
        return cls(settings, features, prepared, network.encoder.scale)

    @property
    def widest(self) -> int:
        """Channels of the maps at full size."""
        return max(_WIDEST, self.settings.decoder_width)

    def bytes_per_pixel(self, input_nc: int, output_nc: int) -> float:
        """Memory that converting takes at its peak, for each pixel of the picture."""
        return 4 * (FULL_MAPS * self.widest + 2 * (input_nc + output_nc))

    def build(self, input_nc: int, output_nc: int, norm: Norm) -> FusionNetwork:
        """Return the network, its weights not loaded yet."""
        return fusion_network(BLANK[self.features](self.prepared), self.settings, output_nc)
