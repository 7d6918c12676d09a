"""Quality while training: measured now and then, and the best checkpoint kept."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class QualitySettings:
    """How often the quality of the pictures is measured, and what follows from it."""

    eval_freq: NonNegativeInt = 2000
    """images between two measurements of progress and of what is kept, which take 3 % of the time
    at most; best.pt is the best by them; 0: none"""
    eval_images: PositiveInt = 64
    """test images of each domain that are converted for it, the same every time"""
    min_ssim: Annotated[float, Field(ge=0, le=1)] = 0.3
    """content that best.pt has to keep, as SSIM of luminance: what lacks counts ten times against
    its progress; 0: whatever it keeps"""
    patience: NonNegativeInt = 0
    """end the training after so many measurements without a better one; 0: never"""
