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
    """picture that says what is to be seen"""
    style: Path
    """picture that says how it is painted"""
    output: Path
    """file for the result, in the format of its ending"""
    overwrite: bool = False
    """replace the file if it is there already"""
    size: PositiveInt = 512
    """pixels of the result's longer side; smaller pictures keep their size"""
    style_size: PositiveInt | None = None
    """pixels of the painting's longer side: more make its brush strokes larger; by default as
    --size"""
    range: tuple[float, float] | None = None
    """values that are black and white, for files whose values have no range (floats, DICOM)"""
    scales: PositiveInt = 3
    """sizes that are painted one after the other, each twice as large: the first ones are quick,
    and make what is large in the style"""
    steps: PositiveInt = 200
    """looks at the picture at each size"""
    method: Method = "lbfgs"
    """how pixels are improved: lbfgs, or adam, which takes less memory and more steps"""
    lr: PositiveFloat = 0.01
    """learning rate of adam"""
    start: Start = "content"
    """begin with the content picture, or with noise"""
    seed: int = 0
    """of the noise"""
    lambda_content: NonNegativeFloat = 1.0
    """weight of the content loss"""
    lambda_style: NonNegativeFloat = 10.0
    """weight of the style loss: more looks more like the painting, and less like the picture"""
    lambda_tv: NonNegativeFloat = 3.0
    """weight of the total variation, of colours above all: more is smoother"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)

    def check(self) -> None:
        """Raise UsageError where neither content nor style has a weight."""
        if not (self.lambda_content or self.lambda_style):
            raise UsageError("--lambda_content 0 and --lambda_style 0: nothing is left to paint")
