"""Losses that look at pictures through a frozen network: content and style."""

from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from cyclegan.features import LayeredName
from cyclegan.strict import STRICT

StyleKind = Literal["gram", "statistics", "maps"]


@dataclass(frozen=True, config=STRICT)
class PerceptualSettings:
    """Through which network content and style are seen, and in which of its layers."""

    loss_features: LayeredName = "vgg19"
    """network that content and style losses look through: vgg19 (downloaded once, 548 MB),
    efficientnet-lite0 (nothing to download; used where the other can't be had), or plain (five
    random convolutions)"""
    feature_weights: Path | None = None
    """file of its weights; by default they come with a package or are downloaded"""
    content_layers: tuple[str, ...] = ()
    """layers that say what a picture shows; by default relu4_2 of vgg19, block4, or conv4"""
    style_layers: tuple[str, ...] = ()
    """layers that say how it is painted; by default relu1_1 to relu5_1 of vgg19, or five others"""
    style_kind: StyleKind = "gram"
    """what of a layer is its style: gram (Gram matrices), statistics (mean and deviation of each
    feature) or maps (the features themselves, place by place)"""

    @property
    def share(self) -> float:
        """What a step's looks take of the time of a network that makes pictures of 128 px."""
        return _SHARES.get(self.loss_features, 0.1)


#: Multiply-adds of three looks by those of a pass, of the presets that train by them.
_SHARES: dict[str, float] = {"vgg19": 2.2, "plain": 0.6}
