"""The network as exported files hold it: plain layers, sides and number of images left free."""

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
    """As torch.export sees it: (N, C, H, W), H and W any multiples of the metadata's."""
    step = given.metadata.multiple
    free = {0: Dim("batch"), 2: step * Dim("high", min=2), 3: step * Dim("wide", min=2)}
    return torch.export.export(plain(given.network), (_example(given),), dynamic_shapes=(free,))


def traced(given: Exportable) -> torch.jit.ScriptModule:
    """As TorchScript records it, for the same sides."""
    with warnings.catch_warnings():
        # Tracing is called deprecated, and warns of branches: those on sides that are multiples
        # already go one way.
        warnings.simplefilter("ignore")
        record = cast(Callable[..., torch.jit.ScriptModule], torch.jit.trace)
        return record(plain(given.network), _example(given), check_trace=False)


def plain(network: nn.Module) -> nn.Module:
    """A copy whose layers are torch's own where ours make a kernel anew each time."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, ResizeConvolution | BlurredConvolution):
                setattr(module, name, layer.plain())
    return network.eval().requires_grad_(False)


def _example(given: Exportable) -> Tensor:
    """Two images: with one, their number would be taken for fixed."""
    step = given.metadata.multiple
    return torch.zeros(2, given.metadata.architecture.input_nc, 3 * step, 4 * step)
