"""Discriminators by the names that `--netD` takes."""

from typing import TYPE_CHECKING, Protocol, Union

from cyclegan.discriminators.settings import (
    BasicSettings,
    MultiscaleSettings,
    NLayersSettings,
    PixelSettings,
    ProjectedSettings,
)
from cyclegan.kinds import Kind
from cyclegan.layers.settings import Norm

if TYPE_CHECKING:
    from torch import nn

#: The one table of discriminators.
DISCRIMINATORS = {
    "basic": Kind(BasicSettings),
    "n_layers": Kind(NLayersSettings),
    "multiscale": Kind(MultiscaleSettings),
    "pixel": Kind(PixelSettings),
    "projected": Kind(ProjectedSettings),
}

if TYPE_CHECKING:

    class DiscriminatorSettings(Protocol):
        """Settings that build a discriminator."""

        @property
        def netD(self) -> str: ...
        @property
        def smallest_side(self) -> int: ...
        def build(self, input_nc: int, norm: Norm) -> nn.Module: ...
else:
    DiscriminatorSettings = Union[tuple({kind.settings for kind in DISCRIMINATORS.values()})]  # noqa: UP007
