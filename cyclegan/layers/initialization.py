"""Initial weights of the networks."""

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from cyclegan.layers import InitType

INITS: dict[InitType, Callable[[Tensor, float], Tensor]] = {
    "normal": lambda weight, gain: nn.init.normal_(weight, 0.0, gain),
    "xavier": lambda weight, gain: nn.init.xavier_normal_(weight, gain=gain),
    # He initialisation has no gain of its own: its scale follows from the layer (He et al. 2015).
    "kaiming": lambda weight, gain: nn.init.kaiming_normal_(weight, a=0, mode="fan_in"),
    "orthogonal": lambda weight, gain: nn.init.orthogonal_(weight, gain=gain),
}


def initialize(network: nn.Module, init_type: InitType, init_gain: float) -> nn.Module:
    """Draw new weights in place: convolutions by `init_type`, BatchNorm from N(1, init_gain).

    Biases become 0. Draws from torch's global generator. Returns the network.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            INITS[init_type](_kept(module), init_gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, init_gain)
            nn.init.zeros_(module.bias)
    return network


def _kept(module: nn.Module) -> Tensor:
    """Return the trained weight, where another is computed from it (spectral normalisation)."""
    if is_parametrized(module, "weight"):
        return cast(Tensor, cast(Any, module).parametrizations.weight.original)
    return cast(Tensor, module.weight)
