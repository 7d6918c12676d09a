"""Settings of the losses: terms that generators minimise, and adversarial objectives."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, NonNegativeInt, PositiveInt, ValidationError, WrapValidator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from cyclegan.features import LayeredName
from cyclegan.kinds import STRICT

AugmentName = Literal["color", "translation", "cutout"]
GanMode = Literal["lsgan", "vanilla", "hinge", "wgangp"]
StyleKind = Literal["gram", "statistics", "maps"]
Direction = Literal["a_to_b", "b_to_a"]

_NUMBER = r"((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
_SCHEDULE = re.compile(rf"\s*{_NUMBER}\s*->\s*{_NUMBER}(?:\s+at\s+{_NUMBER})?\s*", re.IGNORECASE)
#: A loss weight by the share of the run that is done, from 0 to 1.
ScheduledWeight = Callable[[float], float]


def _read(given: Any, check: Callable[[Any], float | str]) -> float | str:
    """Return a number as it is, and the text of a schedule in its plainest form."""
    try:
        weight = check(given)
    except ValidationError:
        raise PydanticCustomError("weight", "Input should be a valid number") from None
    if not isinstance(weight, str):
        return weight
    first, last, end = _schedule(weight)
    return f"{first!r} -> {last!r} at {end!r}".replace(".0 ", " ").removesuffix(" at 1.0")


def _schedule(text: str) -> tuple[float, float, float]:
    """Return the first weight of a schedule, the last, and the share of a run that it takes."""
    found = _SCHEDULE.fullmatch(text)
    if found is None:
        raise PydanticCustomError(
            "weight", "Input should be a valid number, or a schedule such as '1 -> 10 at 0.5'"
        )
    first, last, end = (float(number or 1) for number in found.groups())
    if not 0 < end <= 1 or math.inf in (first, last):
        raise PydanticCustomError(
            "weight", "A schedule should be at its end at a share of the run above 0 and up to 1"
        )
    return first, last, end


def _not_negative(weight: float | str) -> float | str:
    if isinstance(weight, str) or weight >= 0:
        return weight
    raise PydanticCustomError("weight", "Input should be greater than or equal to 0")


#: Weight of a loss term: a number, or the text of a schedule.
TermWeight = Annotated[float | str, WrapValidator(_read)]
Weight = Annotated[TermWeight, AfterValidator(_not_negative)]


def as_typed(weight: float | str) -> str:
    """Return a weight as it stands on a command line."""
    return f"{weight!r}" if isinstance(weight, str) else f"{weight:g}"


def product(*factors: float | str) -> float | ScheduledWeight:
    """Return the product of weights: a number, or a schedule where any has one."""
    numbers = [weight for weight in factors if not isinstance(weight, str)]
    if len(numbers) == len(factors) or 0 in numbers:
        return math.prod(numbers)
    each = [_schedule(one) if isinstance(one, str) else (one, one, 1.0) for one in factors]
    return lambda done: math.prod(
        first + (last - first) * min(1.0, done / end) for first, last, end in each
    )


def _weighed(
    factors: dict[str, tuple[float | str, ...]], further: Mapping[str, float | str]
) -> dict[str, float | ScheduledWeight]:
    """Return the weights of the terms that have one at any time of a run."""
    every = factors | {name: (weight,) for name, weight in further.items()}
    weights = {name: product(*each) for name, each in every.items()}
    return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True, config=STRICT)
class LossSettings:
    """Loss terms that are minimised, and their weights.

    Each weight is a number, or a schedule over the run: "1 -> 10 at 0.5" rises from 1 to 10 in its
    first half, and stays.
    """

    gan_mode: GanMode = "lsgan"
    """GAN loss: lsgan (least squares, as in the classic), vanilla (cross entropy, i.e. softplus of
    the logits), hinge, or wgangp"""
    lambda_A: Weight = 10.0
    """weight of the cycle A -> B -> A"""
    lambda_B: Weight = 10.0
    """weight of the cycle B -> A -> B"""
    lambda_identity: Weight = 0.5
    """weight of the identity losses, relative to lambda_B (for A to B) and lambda_A; 0: none"""
    identity_every: PositiveInt = 1
    """compute the identity losses only every k-th step, with k times the weight"""
    identity_steps: NonNegativeInt = 0
    """steps over which the identity losses' weight decays to 0; 0: constant"""
    lambda_gp: Weight = 10.0
    """weight of the gradient penalty (wgangp)"""
    lambda_r1: Weight = 0.0
    """weight of the R1 gradient penalty on real images, with any gan_mode; 0: none"""
    diffaugment: tuple[AugmentName, ...] = ()
    """differentiable augmentation of all discriminator inputs, for small data sets: color
    translation cutout"""
    lambda_lowpass_cycle: Weight = 0.0
    """weight of a cycle loss at a quarter of the resolution; with a smaller lambda_A and lambda_B,
    it lets brush strokes change pixels"""
    lambda_nce: Weight = 0.0
    """weight of PatchNCE (patch-wise contrastive loss); can replace the cycle loss"""
    lambda_consistency: Weight = 0.0
    """weight of the input-output difference at 32 pixels: brightness, colours"""
    lambda_content: Weight = 0.0
    """weight of the content loss: input and output compared in feature space"""
    lambda_style: Weight = 0.0
    """weight of the style loss: output and target domain compared in feature space"""
    lambda_perceptual_cycle: Weight = 0.0
    """weight of a perceptual cycle loss, in feature space"""
    lambda_tv: Weight = 0.0
    """weight of the output's total variation loss: smooths neighbouring pixels"""
    weights: dict[str, TermWeight] = field(default_factory=dict)
    """weights of additional loss terms by name, the same in both directions"""

    @property
    def guessing(self) -> float | None:
        """A discriminator's loss when it can only guess; None where there is no such level."""
        return _GUESSING[self.gan_mode]

    def term_weights(self, direction: Direction) -> dict[str, float | ScheduledWeight]:
        """Return the weight of each loss term of one direction, without those of weight 0.

        The cycle A -> B -> A has lambda_A. The identity |G_A(B) - B| belongs to the direction A ->
        B but is about images of B: lambda_B * lambda_identity, as in the classic.
        """
        own, other = self.lambda_A, self.lambda_B
        if direction == "b_to_a":
            own, other = other, own
        factors: dict[str, tuple[float | str, ...]] = {
            "adversarial": (1.0,),
            "cycle": (own,),
            "identity": (other, self.lambda_identity),
            "lowpass_cycle": (self.lambda_lowpass_cycle,),
            "consistency": (self.lambda_consistency,),
            "patch_nce": (self.lambda_nce,),
            "content": (self.lambda_content,),
            "style": (self.lambda_style,),
            "perceptual_cycle": (self.lambda_perceptual_cycle,),
            "total_variation": (self.lambda_tv,),
        }
        return _weighed(factors, self.weights)


@dataclass(frozen=True, config=STRICT)
class StyleLossSettings:
    """Content and style loss terms, and their weights.

    Each weight is a number, or a schedule over the run: "1 -> 10 at 0.5" rises from 1 to 10 in its
    first half, and stays.
    """

    lambda_content: Weight = 0.0
    """weight of the content loss: input and output compared in feature space"""
    lambda_style: Weight = 0.0
    """weight of the style loss: output and painting compared in feature space"""
    lambda_tv: Weight = 0.0
    """weight of the output's total variation loss: smooths neighbouring pixels"""
    painting_size: PositiveInt = 256
    """shorter side in pixels that paintings are downscaled to before their style is computed;
    strokes are learned at that scale"""
    weights: dict[str, TermWeight] = field(default_factory=dict)
    """weights of additional loss terms by name in the table"""

    @property
    def term_weights(self) -> dict[str, float | ScheduledWeight]:
        """Weight of each loss term, without those of weight 0."""
        factors: dict[str, tuple[float | str, ...]] = {
            "content": (self.lambda_content,),
            "style": (self.lambda_style,),
            "total_variation": (self.lambda_tv,),
        }
        return _weighed(factors, self.weights)


#: Both halves of the loss at the score that calls real and fake equally likely.
_GUESSING: dict[GanMode, float | None] = {
    "lsgan": 0.25,
    "vanilla": math.log(2),
    "hinge": 1.0,
    "wgangp": None,
}


@dataclass(frozen=True, config=STRICT)
class PerceptualSettings:
    """Feature network of the content and style losses, and its layers."""

    loss_features: LayeredName = "vgg19"
    """feature network of the content and style losses: vgg19 (downloaded once, 548 MB),
    efficientnet-lite0 (no download; the fallback), or plain (five random convolutions)"""
    feature_weights: Path | None = None
    """its weights file; by default from a package, or downloaded"""
    content_layers: tuple[str, ...] = ()
    """layers whose activations are compared as content; by default relu4_2 of vgg19, block4, or
    conv4"""
    style_layers: tuple[str, ...] = ()
    """layers compared as style; by default relu1_1 to relu5_1 of vgg19, or five others"""
    style_kind: StyleKind = "gram"
    """style representation: gram (Gram matrices), statistics (mean and standard deviation per
    channel) or maps (the feature maps themselves)"""

    @property
    def share(self) -> float:
        """Time of a step's perceptual passes, relative to a pass of a generator at 128 px."""
        return _SHARES.get(self.loss_features, 0.1)


#: Multiply-adds of three looks by those of a pass, of the presets that train by them.
_SHARES: dict[str, float] = {"vgg19": 2.2, "plain": 0.6}
