"""A checkpoint, or a file of the classic scripts, becomes one generator."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cyclegan import checkpoint, classic
from cyclegan.checkpoint import Checkpoint
from cyclegan.conversion.settings import NormStatistics
from cyclegan.errors import UsageError, UserError
from cyclegan.run import FolderDirection
from cyclegan.settings import from_table


@dataclass(frozen=True)
class Generator:
    """A generator ready to convert, and where it came from."""

    network: nn.Module
    architecture: classic.Architecture
    origin: str
    digest: str
    """of the weights: equal digests convert equally"""


def load(path: Path, direction: FolderDirection | None, *, average: bool = True) -> Generator:
    """Load one generator of a checkpoint, or the generator of a classic file, in eval mode.

    `average` takes the weights averaged over the training's steps, where there are any.

    `direction` counts by the folders of the training data; None is the direction that was
    trained. Raises UserError where the file can't be used.
    """
    content = checkpoint.load_plain(path, mapped=True)  # a generator is a tenth of a checkpoint
    if not (checkpoint.is_checkpoint(content) and content.get("digests")):
        content = checkpoint.load_plain(path)
    if checkpoint.is_checkpoint(content):
        saved = checkpoint.from_plain(content, path)
        architecture, weights = _of_checkpoint(saved, path, direction, average=average)
    else:
        weights = classic.clean(content, path)
        architecture = classic.infer_architecture(weights, path)
    with torch.device("meta"):  # no weights are drawn that are then replaced
        network = architecture.build()
    network.to_empty(device="cpu")
    classic.load_into(network, weights, path)
    digest = checkpoint.digest(weights)
    return Generator(network.eval().requires_grad_(False), architecture, f"{path}", digest)


def use_image_statistics(network: nn.Module) -> int:
    """Let BatchNorm layers normalise by the image at hand; return how many there are."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = None
    return len(layers)


def advice(generator: Generator, statistics: NormStatistics) -> str | None:
    """What a user of the classic should know about this model's pictures."""
    norm, dropout = generator.architecture.norm, generator.architecture.generator.dropout
    if norm == "batch" and statistics == "trained":
        return (
            "BatchNorm uses its trained statistics; --norm_statistics image gives the pictures "
            "of the classic's test without --eval"
        )
    if dropout:
        return "dropout is off when converting; the classic's test without --eval had it on"
    return None


def _of_checkpoint(
    saved: Checkpoint, path: Path, direction: FolderDirection | None, *, average: bool
) -> tuple[classic.Architecture, classic.Weights]:
    settings = from_table(saved.settings, str(path))
    trained = settings.run.direction
    name = "generator_a_to_b" if direction in (None, trained) else "generator_b_to_a"
    group = "averages" if average and name in saved.state.get("averages", {}) else "networks"
    networks = saved.state[group]
    if name not in networks:
        raise UsageError(f"--direction {direction}: {path} holds {', '.join(networks)} only")
    digest = saved.digests.get(f"{group}/{name}")
    if digest and digest != checkpoint.digest(networks[name]):
        raise UserError(f"{path}: damaged: the weights of {name} are not those that were saved")
    channels = (settings.networks.input_nc, settings.networks.output_nc)
    a, b = channels if name == "generator_a_to_b" else channels[::-1]
    return (
        classic.Architecture(settings.generator, a, b, settings.networks.norm),
        networks[name],
    )
