"""The network inside exported files: plain layers, for any number of images of any size."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from cyclegan.conversion.weights import Generator
from cyclegan.layers.convolution import BlurredConvolution, ResizeConvolution
from cyclegan.runtimes.metadata import Metadata


@dataclass(frozen=True)
class Exportable:
    """A network and its metadata, as writers take them."""

    network: nn.Module
    """as it was loaded"""
    metadata: Metadata
    name: str = ""
    """of the model, for people"""
    runtime: Path | None = None
    """folder of files that run it, for formats that hold them too"""


def exportable(generator: Generator, name: str = "", runtime: Path | None = None) -> Exportable:
    """Return the generator's network with the metadata of its file."""
    metadata = Metadata(
        generator.architecture,
        generator.direction,
        values=generator.values,
        digest=generator.digest,
    )
    return Exportable(generator.network, metadata, name, runtime)


def program(given: Exportable) -> ExportedProgram:
    """Export by torch.export, for (N, C, H, W) of any size."""
    network = AnySides(plain(given.network), given.metadata.multiple).eval()
    return torch.export.export(
        network,
        (_example(given),),
        dynamic_shapes=({0: Dim("batch"), 2: Dim("height"), 3: Dim("width")},),
        # That padded sides are multiples can't be shown beforehand; it is seen to when it runs.
        prefer_deferred_runtime_asserts_over_guards=True,
    )


def traced(given: Exportable) -> torch.jit.ScriptModule:
    """Trace by TorchScript, for (N, C, H, W) of any size."""
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
    """Wrapper that lets a network for multiples of a number take images (N, C, H, W) of any size.

    As in conversion, sides are padded by reflection at both ends, as often as it takes, and cut
    again. All in integer arithmetic, as exporters know no `max` of a side.
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
    """Return the pixels that are added before a side of `side` pixels."""
    return (padded(side, multiple) - side) // 2


def padded(side: int, multiple: int) -> int:
    """Return the padded side: the next multiple, at least two multiples."""
    count = (side + multiple - 1) // multiple
    return (count + 1 // count) * multiple


def mirrored(side: int, before: int, multiple: int) -> Tensor:
    """Return the source index of each pixel of the padded side."""
    period = torch.full((1,), 2 * (side - 1) + 1 // side, dtype=torch.int64)
    place = torch.remainder(torch.arange(padded(side, multiple)) - before, period)
    return torch.minimum(place, period - place)


def plain(network: nn.Module) -> nn.Module:
    """Return a copy with torch's own layers in place of ours that compute a kernel each time."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, ResizeConvolution | BlurredConvolution):
                setattr(module, name, layer.plain())
    return network.eval().requires_grad_(False)


def _example(given: Exportable) -> Tensor:
    """Return two images, as a batch of one would be taken for fixed; no side is a multiple."""
    step = given.metadata.multiple
    return torch.zeros(2, given.metadata.architecture.input_nc, 3 * step + 1, 4 * step + 2)
