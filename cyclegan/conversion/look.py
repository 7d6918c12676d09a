"""How much of a conversion is taken over."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cyclegan.conversion.mask import Mask, Place
from cyclegan.device import sent
from cyclegan.errors import UsageError


@dataclass(frozen=True)
class Look:
    """Between the picture as it was and as the generator made it."""

    strength: float = 1.0
    """0 is the input, 1 the conversion"""
    keep_luminance: bool = False
    """take over colour only"""
    keep_color: bool = False
    """take over light and shade only"""
    mask: Mask | None = None
    """where anything is taken over; everywhere if there is none"""

    def check(self, input_nc: int, output_nc: int) -> None:
        """Raise UsageError where it needs channels that the generator hasn't."""
        if self.strength != 1 and input_nc != output_nc:
            raise UsageError(
                f"--strength {self.strength}: the generator makes {output_nc} channels of "
                f"{input_nc}, which can't be mixed"
            )
        if self.mask is not None and input_nc != output_nc:
            raise UsageError(
                f"--mask {self.mask.path}: the generator makes {output_nc} channels of "
                f"{input_nc}, which can't be mixed"
            )
        if (self.keep_luminance or self.keep_color) and (input_nc, output_nc) != (3, 3):
            flag = "--keep_luminance" if self.keep_luminance else "--keep_color"
            raise UsageError(f"{flag} is for colour (3 channels to 3 channels)")

    def of(self, source: Tensor, made: Tensor, place: Place) -> Tensor:
        """(..., C, h, w) as it was and as it was made, both in [-1, 1] -> in [-1, 1] and near.

        `place` is where this part of the picture lies.
        """
        if self.keep_luminance:
            made = made + _luminance(source - made)
        if self.keep_color:
            made = source + _luminance(made - source)
        if self.strength != 1:
            made = torch.lerp(source, made, self.strength)
        if self.mask is None:
            return made
        height, width = source.shape[-2:]
        share = sent(self.mask.at(place, height, width), source.device).expand_as(source)
        return torch.lerp(source, made, share)


def _luminance(colours: Tensor) -> Tensor:
    """(..., 3, h, w) -> (..., 1, h, w), Rec. 601; adding it changes light alone."""
    weights = sent(torch.tensor([0.299, 0.587, 0.114]), colours.device).view(3, 1, 1)
    return (colours * weights).sum(-3, keepdim=True)
