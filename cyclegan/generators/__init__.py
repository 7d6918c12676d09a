"""Generators by the names that `--netG` takes."""

from typing import TYPE_CHECKING, Protocol, Union

from cyclegan.generators.settings import ResnetSettings, UnetTransformerSettings
from cyclegan.kinds import Kind
from cyclegan.layers.settings import Norm

if TYPE_CHECKING:
    from torch import nn

#: The one table of generators. Names that the classic scripts use for a certain size stand for the
#: same kind and that size.
GENERATORS = {
    "resnet": Kind(ResnetSettings),
    "resnet_9blocks": Kind(ResnetSettings, {"n_blocks": 9}),
    "resnet_6blocks": Kind(ResnetSettings, {"n_blocks": 6}),
    "unet_transformer": Kind(UnetTransformerSettings),
}

if TYPE_CHECKING:

    class GeneratorSettings(Protocol):
        """Settings that build a generator."""

        @property
        def netG(self) -> str: ...
        @property
        def dropout(self) -> bool: ...
        @property
        def residual(self) -> bool: ...
        @property
        def widest(self) -> int: ...
        @property
        def reach(self) -> int | None: ...
        @property
        def multiple(self) -> int: ...
        def bytes_per_pixel(self, input_nc: int, output_nc: int) -> float: ...
        def build(self, input_nc: int, output_nc: int, norm: Norm) -> nn.Module: ...
else:
    GeneratorSettings = Union[tuple({kind.settings for kind in GENERATORS.values()})]  # noqa: UP007
