"""What was chosen: one value that decides, bit by bit, how networks are computed."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from cyclegan.errors import UserError
from cyclegan.execution.compiler import Compiled
from cyclegan.layers import Recompute
from cyclegan.layers.chain import recompute
from cyclegan.layers.convolution import fold

Precision = Literal["fp32", "bf16", "fp16"]
Call = Callable[[Tensor], Tensor]

TYPES: dict[str, torch.dtype | None] = {
    "fp32": None,  # the type of the weights: float64 networks stay float64
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


@dataclass(frozen=True)
class Execution:
    """How networks are computed on one kind of device; the default is the plain way."""

    device: str = "cpu"
    """kind of device that it was chosen for"""
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    """CPU threads; 0 leaves torch's own number"""
    precision: Precision = "fp32"
    channels_last: bool = False
    compiled: bool = False
    recompute: Recompute = "off"
    """what the generators compute again for backward instead of keeping it"""
    batched: bool = False
    """whether the generators' calls that share weights become one"""
    judged_together: bool = False
    """whether a discriminator sees real and converted images in one call"""
    apart: bool = False
    """one backward per part, so that the parts' graphs never live together"""
    fused: bool = False
    """fused optimizers"""
    whole_step: bool = False
    """whether all that a GPU does in a step is one CUDA graph, rather than one for each network"""

    def prepare(self, network: nn.Module) -> Call:
        """Lay out the weights of `network`; return it as it is to be called while training.

        The call takes and returns (N, C, H, W) in the weights' type.
        """
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        network.to(memory_format=layout)
        recompute(network, self.recompute)
        call = Cast(network, TYPES[self.precision], layout)
        graphs = self.device == "cuda" and not self.whole_step
        return Compiled(call, graphs=graphs) if self.compiled else call

    def cast(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in the type and the layout that layers compute in."""
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        return images.to(TYPES[self.precision] or images.dtype, memory_format=layout)

    def prepare_trained(self, network: nn.Module) -> Call:
        """`prepare` for a network whose weights change no more: they are cast once, in place."""
        dtype = TYPES[self.precision]
        if dtype is not None:
            fold(network, dtype)
        return self.prepare(network)

    def describe(self) -> str:
        """What a person reads: bf16, channels last, compiled, 2 threads."""
        words = [
            self.precision,
            *(["channels last"] if self.channels_last else []),
            *(["compiled"] if self.compiled else []),
            *(["one graph a step"] if self.whole_step else []),
            *([f"recomputing ({self.recompute})"] if self.recompute != "off" else []),
            *(["batched calls"] if self.batched else []),
            *(
                [f"{self.threads} thread{'s' * (self.threads > 1)}"]
                if self.device == "cpu" and self.threads
                else []
            ),
        ]
        return ", ".join(words)

    def table(self) -> dict[str, Any]:
        """As plain builtins, for a checkpoint."""
        return asdict(self)


def from_table(table: Mapping[str, Any]) -> Execution:
    """What `Execution.table` gave; names that this version doesn't know are passed over.

    Raises UserError, naming the first that is of another type.
    """
    known = {field.name for field in fields(Execution)}
    try:
        return _EXECUTION.validate_python({name: table[name] for name in known & table.keys()})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"]))
        raise UserError(
            f"the checkpoint's execution can't be read ({key}: {problem['msg'].lower()})"
        ) from None


_EXECUTION = TypeAdapter(Execution)


class Cast(nn.Module):
    """A network whose layers see another type and layout."""

    def __init__(
        self, network: nn.Module, dtype: torch.dtype | None, layout: torch.memory_format
    ) -> None:
        super().__init__()
        self.network = network
        self._dtype = dtype
        self._layout = layout

    def forward(self, images: Tensor) -> Tensor:
        cast = images.to(self._dtype or images.dtype, memory_format=self._layout)
        output: Tensor = self.network(cast)
        return output.to(images.dtype)
