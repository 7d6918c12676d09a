"""Settings of stylize: one picture painted like another by optimising its pixels.

Slow, and nothing is trained.
"""

from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT
from cyclegan.losses import PerceptualSettings

Method = Literal["lbfgs", "adam"]
Start = Literal["content", "noise"]


@dataclass(frozen=True, config=STRICT)
class StylizeSettings:
    """Pictures, sizes, method and loss weights to paint one picture like another."""

    content: Path
    """content image"""
    style: Path
    """style image"""
    output: Path
    """output file, in the format of its extension"""
    overwrite: bool = False
    """overwrite an existing file"""
    size: PositiveInt = 512
    """longer side of the result in pixels; smaller images keep their size"""
    style_size: PositiveInt | None = None
    """longer side of the style image in pixels: more gives larger strokes; by default as --size"""
    range: tuple[float, float] | None = None
    """values of black and white, for files without a fixed value range (floats, DICOM)"""
    scales: PositiveInt = 3
    """number of scales, coarse to fine, each twice as large: the first ones are fast and form large
    structures of the style"""
    steps: PositiveInt = 200
    """loss evaluations at each scale"""
    method: Method = "lbfgs"
    """optimizer of the pixels: lbfgs, or adam, which takes less memory and more steps"""
    lr: PositiveFloat = 0.01
    """learning rate of adam"""
    start: Start = "content"
    """initial image: the content image, or noise"""
    seed: int = 0
    """noise seed"""
    lambda_content: NonNegativeFloat = 1.0
    """weight of the content loss"""
    lambda_style: NonNegativeFloat = 10.0
    """weight of the style loss: higher is closer to the style, further from the content"""
    lambda_tv: NonNegativeFloat = 3.0
    """weight of the total variation, mainly of colours: higher is smoother"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)

    def check(self) -> None:
        """Raise UsageError where neither content nor style has a weight."""
        if not (self.lambda_content or self.lambda_style):
            raise UsageError(
                "--lambda_content 0 and --lambda_style 0: nothing to optimise; give at least one "
                "a weight"
            )
