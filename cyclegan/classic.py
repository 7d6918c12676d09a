"""Weights of the classic PyTorch CycleGAN scripts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.checkpoint import load_plain
from cyclegan.errors import UserError
from cyclegan.generators import GeneratorSettings
from cyclegan.generators.settings import ResnetSettings
from cyclegan.layers.settings import Norm

#: The classic's D_A judges images of B.
NETWORKS = {
    "G_A": "generator_a_to_b",
    "G_B": "generator_b_to_a",
    "D_A": "discriminator_b",
    "D_B": "discriminator_a",
}

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Architecture:
    """What a generator's file says of the network it belongs to."""

    generator: GeneratorSettings
    input_nc: int
    output_nc: int
    norm: Norm

    def build(self) -> nn.Module:
        """Return the network, its weights not loaded yet."""
        return self.generator.build(self.input_nc, self.output_nc, self.norm)


def read_weights(path: Path) -> Weights:
    """Read a state dict of the classic. Raises UserError where the file holds anything else."""
    return clean(load_plain(path), path)


def clean(content: Any, path: Path) -> Weights:
    """Free what `path` holds of what wrappers and old versions left in it.

    A `module.` prefix is stripped; running statistics go where the layer has no weight, which is
    how old InstanceNorm layers show. Raises UserError where it is no state dict.
    """
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"{path}: no state dict of a network (names and tensors)")
    weights = {key.removeprefix("module."): tensor for key, tensor in content.items()}
    return {key: tensor for key, tensor in weights.items() if not _stale(key, weights)}


def infer_architecture(weights: Mapping[str, Tensor], path: Path) -> Architecture:
    """Read blocks, ngf, channels, norm and dropout off the keys and shapes.

    Raises UserError, naming what the file holds instead, where it is no ResNet generator.
    """
    first = weights.get("model.1.weight")
    blocks = {match[1] for match in map(_BLOCK.match, weights) if match}
    last = next((weights[key] for key in reversed(list(weights)) if key.endswith("weight")), None)
    if first is None or first.ndim != 4 or first.shape[2] != 7 or last is None:
        raise UserError(f"{path}: {_what_else(weights)}; only ResNet generators can be loaded")
    norm: Norm = "batch" if "model.2.weight" in weights else "none"
    if "model.1.bias" in weights:
        norm = "instance"
    generator = ResnetSettings(
        ngf=first.shape[0],
        n_blocks=len(blocks),
        # Dropout moves the second convolution from place 5 to 6, where else a norm may stand.
        dropout=any(
            key.endswith(".conv_block.6.weight") and tensor.ndim == 4
            for key, tensor in weights.items()
        ),
    )
    return Architecture(generator, first.shape[1], last.shape[0], norm)


def load_into(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load strictly. Raises UserError, naming the first layer that doesn't fit."""
    _compare(network.state_dict(), weights, path)
    network.load_state_dict(weights, strict=False)


def check_fit(build: Callable[[], nn.Module], weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise UserError as `load_into` does, before memory is taken for what `build` makes.

    What a file says of its network may be anything; its weights are no larger than the file.
    """
    with torch.device("meta"):
        expected = build().state_dict()
    _compare(expected, weights, path)


def _compare(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    if not expected.keys() & weights.keys():
        raise UserError(f"{path}: {_what_else(weights)}, which these settings do not build")
    for key in [*expected, *weights]:
        # A counter of BatchNorm that files from before torch 0.4.1 lack; it changes no picture.
        if key.endswith("num_batches_tracked"):
            continue
        given, wanted = _shape(weights.get(key)), _shape(expected.get(key))
        if given != wanted:
            raise UserError(
                f"{path}: weights of another architecture ({key}: the file has {given}, "
                f"these settings {wanted}); give the settings it was trained with"
            )


def find_files(folder: Path) -> dict[str, Path]:
    """The four files of the classic in `folder`, by our names: the latest, else the newest epoch.

    Raises UserError, naming what is missing.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in folder.glob("*_net_*.pth"):
        match = re.fullmatch(r"(latest|\d+)_net_(G_A|G_B|D_A|D_B)\.pth", path.name)
        if match:
            found.setdefault(match[1], {})[NETWORKS[match[2]]] = path
    whole = [epoch for epoch, files in found.items() if len(files) == len(NETWORKS)]
    if not whole:
        raise UserError(
            f"{folder}: holds no latest_net_G_A.pth, latest_net_G_B.pth, latest_net_D_A.pth and "
            "latest_net_D_B.pth (or another epoch's four), and is no checkpoint"
        )
    return found[max(whole, key=lambda epoch: (epoch == "latest", int(_digits(epoch))))]


_BLOCK = re.compile(r"model\.(\d+)\.conv_block\.")


def _stale(key: str, weights: Mapping[str, Tensor]) -> bool:
    layer, _, name = key.rpartition(".")
    return name in _STATISTICS and f"{layer}.weight" not in weights


_STATISTICS = frozenset({"running_mean", "running_var", "num_batches_tracked"})


def _what_else(weights: Mapping[str, Tensor]) -> str:
    if any(key.startswith("model.model.") for key in weights):
        return "a U-Net generator (unet_128, unet_256), which is not supported"
    first = weights.get("model.0.weight", weights.get("net.0.weight"))
    if first is not None:
        return "a discriminator, not a generator"
    return "weights of another network"


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else "x".join(map(str, tensor.shape))


def _digits(epoch: str) -> str:
    return epoch if epoch.isdigit() else "0"
