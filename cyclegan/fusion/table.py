"""Fusion modules by the names that `--fusion` takes."""

from collections.abc import Callable, Mapping

from torch import nn

from cyclegan.fusion.adain import AdaIN
from cyclegan.fusion.attention import Attention
from cyclegan.fusion.settings import FusionName
from cyclegan.fusion.wct import WhiteningColouring

#: The one table of fusion modules. Each entry takes the number of features C and gives a module:
#: content maps (N, C, h, w), style maps (N or 1, C, h', w') -> maps (N, C, h, w).
FUSIONS: Mapping[FusionName, Callable[[int], nn.Module]] = {
    "adain": lambda channels: AdaIN(),
    "wct": lambda channels: WhiteningColouring(),
    "attention": Attention,
}
