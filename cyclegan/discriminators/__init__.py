"""Discriminators by the names that `--netD` takes."""

from typing import TYPE_CHECKING, Protocol, Union

from cyclegan.discriminators.settings import BasicSettings, NLayersSettings, PixelSettings
from cyclegan.layers.settings import Norm

if TYPE_CHECKING:
    from torch import nn

#: The one table of discriminators: a name and the settings it starts from.
DISCRIMINATORS = {
    "basic": BasicSettings(),
    "n_layers": NLayersSettings(),
    "pixel": PixelSettings(),
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
    DiscriminatorSettings = Union[tuple({type(s) for s in DISCRIMINATORS.values()})]  # noqa: UP007
