"""Settings of the losses: terms that generators minimise, and adversarial objectives."""

import math
from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.features import LayeredName
from cyclegan.kinds import STRICT

AugmentName = Literal["color", "translation", "cutout"]
GanMode = Literal["lsgan", "vanilla", "hinge", "wgangp"]
StyleKind = Literal["gram", "statistics", "maps"]
Direction = Literal["a_to_b", "b_to_a"]


@dataclass(frozen=True, config=STRICT)
class LossSettings:
    """Loss terms that are minimised, and their weights."""

    gan_mode: GanMode = "lsgan"
    """adversarial objective: lsgan (squares, as the classic's), vanilla (cross entropy, which is a
    softplus of the scores), hinge, or wgangp"""
    lambda_A: NonNegativeFloat = 10.0
    """weight of the cycle A -> B -> A"""
    lambda_B: NonNegativeFloat = 10.0
    """weight of the cycle B -> A -> B"""
    lambda_identity: NonNegativeFloat = 0.5
    """weight of the identity losses, relative to lambda_B (for A to B) and lambda_A; 0: none"""
    identity_every: PositiveInt = 1
    """compute the identity losses in every k-th step only, with k times the weight"""
    identity_steps: NonNegativeInt = 0
    """steps over which the identity losses' weight falls to nothing; 0: it stays"""
    lambda_gp: NonNegativeFloat = 10.0
    """weight of the gradient penalty (wgangp)"""
    lambda_r1: NonNegativeFloat = 0.0
    """weight of the zero-centred gradient penalty on real images, with any gan_mode; 0: none"""
    diffaugment: tuple[AugmentName, ...] = ()
    """what is done to all images that discriminators see, for small sets: color translation
    cutout"""
    lambda_lowpass_cycle: NonNegativeFloat = 0.0
    """weight of a cycle that compares images at a quarter of their size; with a smaller lambda_A
    and lambda_B, brush strokes may change pixels"""
    lambda_nce: NonNegativeFloat = 0.0
    """weight of PatchNCE: places of the output stay recognisable; can stand in for the cycle"""
    lambda_consistency: NonNegativeFloat = 0.0
    """weight of the difference of input and output at 32 pixels: light and colours"""
    lambda_content: NonNegativeFloat = 0.0
    """weight of the content loss: input and output, seen by a network that recognises things"""
    lambda_style: NonNegativeFloat = 0.0
    """weight of the style loss: the output and images of the other kind, seen by that network"""
    lambda_perceptual_cycle: NonNegativeFloat = 0.0
    """weight of a cycle that compares images as that network sees them"""
    lambda_tv: NonNegativeFloat = 0.0
    """weight of the output's total variation: neighbouring pixels should be alike"""
    weights: dict[str, float] = field(default_factory=dict)
    """weights of further loss terms by their names in the table, the same in both directions"""

    @property
    def guessing(self) -> float | None:
        """A discriminator's loss when it can only guess; None where there is no such level."""
        return _GUESSING[self.gan_mode]

    def term_weights(self, direction: Direction) -> dict[str, float]:
        """Return the weight of each loss term of one direction, without those of weight 0.

        The cycle A -> B -> A has lambda_A. The identity |G_A(B) - B| belongs to the direction A ->
        B but is about images of B: lambda_B * lambda_identity, as in the classic.
        """
        own, other = self.lambda_A, self.lambda_B
        if direction == "b_to_a":
            own, other = other, own
        weights = {
            "adversarial": 1.0,
            "cycle": own,
            "identity": other * self.lambda_identity,
            "lowpass_cycle": self.lambda_lowpass_cycle,
            "consistency": self.lambda_consistency,
            "patch_nce": self.lambda_nce,
            "content": self.lambda_content,
            "style": self.lambda_style,
            "perceptual_cycle": self.lambda_perceptual_cycle,
            "total_variation": self.lambda_tv,
        }
        return {name: weight for name, weight in (weights | self.weights).items() if weight}


@dataclass(frozen=True, config=STRICT)
class StyleLossSettings:
    """Loss terms of recipes that know content and style only, and their weights."""

    lambda_content: NonNegativeFloat = 0.0
    """weight of the content loss: input and output, seen by a network that recognises things"""
    lambda_style: NonNegativeFloat = 0.0
    """weight of the style loss: the output and the painting, seen by that network"""
    lambda_tv: NonNegativeFloat = 0.0
    """weight of the output's total variation: neighbouring pixels should be alike"""
    painting_size: PositiveInt = 256
    """pixels that the shorter side of a painting is scaled down to before its style is looked at;
    strokes are learned at the size that they have there"""
    weights: dict[str, float] = field(default_factory=dict)
    """weights of further loss terms by their names in the table"""

    @property
    def term_weights(self) -> dict[str, float]:
        """Weight of each loss term, without those of weight 0."""
        weights = {
            "content": self.lambda_content,
            "style": self.lambda_style,
            "total_variation": self.lambda_tv,
        }
        return {name: weight for name, weight in (weights | self.weights).items() if weight}


#: Both halves of the loss at the score that calls real and fake equally likely.
_GUESSING: dict[GanMode, float | None] = {
    "lsgan": 0.25,
    "vanilla": math.log(2),
    "hinge": 1.0,
    "wgangp": None,
}


@dataclass(frozen=True, config=STRICT)
class PerceptualSettings:
    """Network through which content and style are seen, and its layers."""

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
        """Time of a step's perceptual passes, relative to a pass of a generator at 128 px."""
        return _SHARES.get(self.loss_features, 0.1)


#: Multiply-adds of three looks by those of a pass, of the presets that train by them.
_SHARES: dict[str, float] = {"vgg19": 2.2, "plain": 0.6}
