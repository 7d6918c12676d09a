"""The network as exported files hold it: plain layers, for any number of images of any size."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from cyclegan.conversion.weights import Generator
from cyclegan.layers.convolution import BlurredConvolution, ResizeConvolution
from cyclegan.runtimes.metadata import Metadata


@dataclass(frozen=True)
class Exportable:
    """What a writer is given."""

    network: nn.Module
    """as it was loaded"""
    metadata: Metadata


def exportable(generator: Generator) -> Exportable:
    """`generator` with what its file shall say of it."""
    metadata = Metadata(
        generator.architecture,
        generator.direction,
        values=generator.values,
        digest=generator.digest,
    )
    return Exportable(generator.network, metadata)


def program(given: Exportable) -> ExportedProgram:
    """As torch.export sees it: (N, C, H, W) of any size."""
    network = AnySides(plain(given.network), given.metadata.multiple).eval()
    return torch.export.export(
        network,
        (_example(given),),
        dynamic_shapes=({0: Dim("batch"), 2: Dim("height"), 3: Dim("width")},),
        # That padded sides are multiples can't be shown beforehand; it is seen to when it runs.
        prefer_deferred_runtime_asserts_over_guards=True,
    )


def traced(given: Exportable) -> torch.jit.ScriptModule:
    """As TorchScript records it, for the same sizes."""
    step = given.metadata.multiple
    with warnings.catch_warnings():
        # Tracing is called deprecated, and warns of branches: those on sides that are multiples
        # already go one way.
        warnings.simplefilter("ignore")
        record = cast(Callable[..., torch.jit.ScriptModule], torch.jit.trace)
        compiled = cast(Callable[..., torch.jit.ScriptModule], torch.jit.script)
        whole = torch.zeros(2, given.metadata.architecture.input_nc, 3 * step, 4 * step)
        inner = record(plain(given.network), whole, check_trace=False)
        return compiled(AnySides(inner, step).eval())


class AnySides(nn.Module):
    """Images (N, C, H, W) of any size through a network that takes multiples of a number.

    As in conversion: sides are padded by reflection at both ends, as often as it takes, and cut
    again. In whole numbers alone: exporters know no `max` of a side.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2], images.shape[3]
        above, before = margin(height, self.multiple), margin(width, self.multiple)
        down = mirrored(height, above, self.multiple)
        across = mirrored(width, before, self.multiple)
        made: Tensor = self.network(images.index_select(2, down).index_select(3, across))
        rows, columns = torch.arange(height) + above, torch.arange(width) + before
        return made.index_select(2, rows).index_select(3, columns)


def margin(side: int, multiple: int) -> int:
    """Pixels that are added before a side of so many."""
    return (padded(side, multiple) - side) // 2


def padded(side: int, multiple: int) -> int:
    """The next multiple, and twice the number at least."""
    count = (side + multiple - 1) // multiple
    return (count + 1 // count) * multiple


def mirrored(side: int, before: int, multiple: int) -> Tensor:
    """Where each pixel of the padded side is taken from."""
    period = torch.full((1,), 2 * (side - 1) + 1 // side, dtype=torch.int64)
    place = torch.remainder(torch.arange(padded(side, multiple)) - before, period)
    return torch.minimum(place, period - place)


def plain(network: nn.Module) -> nn.Module:
    """A copy whose layers are torch's own where ours make a kernel anew each time."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, ResizeConvolution | BlurredConvolution):
                setattr(module, name, layer.plain())
    return network.eval().requires_grad_(False)


def _example(given: Exportable) -> Tensor:
    """Two images: with one, their number would be taken for fixed. No side is a multiple."""
    step = given.metadata.multiple
    return torch.zeros(2, given.metadata.architecture.input_nc, 3 * step + 1, 4 * step + 2)
