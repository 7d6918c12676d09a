"""Networks that are nothing but 3x3 convolutions, and files that hold their weights in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cyclegan.errors import UserError
from cyclegan.features.network import read_weights

Padding = Literal["zeros", "reflect"]


@dataclass(frozen=True)
class Convolution:
    """The weights of one layer."""

    weight: Tensor
    """(out, in, k, k)"""
    bias: Tensor
    """(out,)"""

    @property
    def channels(self) -> tuple[int, int]:
        """Those that come in, and those that come out."""
        return self.weight.shape[1], self.weight.shape[0]

    @property
    def side(self) -> int:
        """Pixels a side of what it looks at."""
        return self.weight.shape[2]

    def layer(self, padding: Padding = "zeros") -> nn.Conv2d:
        """The layer with these weights; its output is as large as its input."""
        made = nn.Conv2d(*self.channels, self.side, padding=self.side // 2, padding_mode=padding)
        made.load_state_dict({"weight": self.weight, "bias": self.bias})
        return made


def empty(seen: int, made: int, side: int) -> Convolution:
    """One whose weights are yet to be loaded."""
    return Convolution(torch.empty(made, seen, side, side), torch.empty(made))


def read_convolutions(path: Path, name: str) -> list[Convolution]:
    """The convolutions of a state dict, in the file's order; `name` is whose they should be.

    Raises UserError where the file can't be read or holds none.
    """
    content: Any = read_weights(path, mapped=True)
    if not isinstance(content, Mapping):
        raise foreign(path, name)
    found = []
    for key, weight in content.items():
        if isinstance(weight, Tensor) and weight.ndim == 4:
            bias = content.get(str(key).removesuffix("weight") + "bias")
            if not isinstance(bias, Tensor) or bias.shape != weight.shape[:1] or bias.is_meta:
                raise foreign(path, name)
            found.append(Convolution(weight, bias))
    if not found:
        raise foreign(path, name)
    return found


def foreign(path: Path, name: str) -> UserError:
    """What is said of a file that holds something else."""
    return UserError(f"{path}: not the weights of {name}")
