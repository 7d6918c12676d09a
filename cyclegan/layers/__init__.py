"""Settings of channels, normalisation and initial weights, for all networks."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT

#: Bounds on what is built of a number that stands in a file: far above what can be trained.
Width = Annotated[int, Field(ge=1, le=4096)]
Depth = Annotated[int, Field(ge=0, le=512)]
Halvings = Annotated[int, Field(ge=1, le=16)]

Norm = Literal["instance", "instance_affine", "batch", "none"]
Recompute = Literal["off", "light", "full"]
InitType = Literal["normal", "xavier", "kaiming", "orthogonal"]
Upsampling = Literal["transposed", "resize", "antialiased"]
Downsampling = Literal["strided", "blurred", "antialiased"]


@dataclass(frozen=True, config=STRICT)
class ChannelSettings:
    """Channels of the images."""

    input_nc: Width = 3
    """channels of the images of A: 3 for colour, 1 for grayscale"""
    output_nc: Width = 3
    """channels of the images of B"""

    def check(self) -> None:
        """Raise UsageError where a number of channels is not 1 or 3."""
        for number in (self.input_nc, self.output_nc):
            if number not in (1, 3):
                raise UsageError(f"--input_nc and --output_nc must be 1 or 3, not {number}")

    def check_residual(self, residual: bool) -> None:
        """Raise UsageError where a residual generator would add to an image of other channels."""
        if residual and self.input_nc != self.output_nc:
            raise UsageError(
                f"--residual adds to the image: --input_nc {self.input_nc} and --output_nc "
                f"{self.output_nc} have to be the same"
            )


@dataclass(frozen=True, config=STRICT)
class NetworkSettings:
    """Normalisation and initialisation of all networks."""

    norm: Norm = "instance"
    """normalisation layers of all networks; instance_affine adds learned scale and shift"""
    init_type: InitType = "normal"
    """distribution of the initial weights"""
    init_gain: PositiveFloat = 0.02
    """scale of the initial weights (standard deviation for normal)"""
