"""Settings of the network that joins one picture's content with another one's style."""

from typing import Literal

from pydantic.dataclasses import dataclass

from cyclegan.layers.settings import Width
from cyclegan.strict import STRICT

FusionName = Literal["adain", "wct", "attention"]


@dataclass(frozen=True, config=STRICT)
class FusionSettings:
    """How content and style are joined, and what makes a picture of it."""

    fusion: FusionName = "adain"
    """how content takes on a style: adain (mean and deviation of each feature), wct (whitening and
    colouring, how features go together) or attention (learned: each place takes what fits it)"""
    fusion_layer: str = ""
    """layer of loss_features whose maps are joined; by default relu4_1 of vgg19, block2 of
    efficientnet-lite0 or conv3 of plain"""
    decoder_width: Width = 32
    """feature maps of the decoder's last stage; each one before has twice as many"""
    match_colors: bool = False
    """give what is decoded the mean and covariance of the style's colours: exact on any painting,
    where a decoder alone has them of those it was trained on"""
