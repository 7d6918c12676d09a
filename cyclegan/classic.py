"""Weight files of the classic PyTorch CycleGAN scripts and of CUT: found, read and loaded."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.checkpoint import load_plain
from cyclegan.errors import UserError, in_words
from cyclegan.generators import GeneratorSettings, ResnetSettings
from cyclegan.layers import Norm

Weights = dict[str, Tensor]

#: The classic's names of its networks and ours. Its D_A judges images of B.
NETWORKS = {
    "G_A": "generator_a_to_b",
    "G_B": "generator_b_to_a",
    "D_A": "discriminator_b",
    "D_B": "discriminator_a",
}


def networks(content: Any, path: Path) -> dict[str, Weights]:
    """Return the networks that `path` holds, by the names that lead to them; "" for a single one.

    Nested tables are searched (`state_dict`, `netG_A`, `model`), the prefixes of DataParallel and
    torch.compile are removed, and spectral norms are folded into the weights. If no known network
    is found, all weights are returned as one. Raises UserError if there are no tensors.
    """
    flat = dict(_tensors(content))
    if not flat:
        raise UserError(f"{path}: not a state dict (names and tensors)")
    folded = _folded(flat)
    roots = [
        root for key, value in folded.items() if (root := _root(key, value, folded)) is not None
    ]
    return {root.rstrip("."): _below(root, folded) for root in roots} or {"": folded}


def is_generator(weights: Mapping[str, Tensor]) -> bool:
    """Return whether the weights are of a generator of the classic scripts or of CUT."""
    return _is_kernel(weights.get(_GENERATOR), 7)


def known(name: str) -> str | None:
    """Return our name of the network that a file calls `name`; None if that doesn't say which."""
    own = next((ours for ours in NETWORKS.values() if ours in name), None)
    match = _NAMED.search(name)
    if own or not match:
        return own
    kind, way = match[1][0].upper(), match[2].upper()
    return NETWORKS[f"{kind}_{_WAYS.get(way, way)}"]


_NAMED = re.compile(
    r"(?:^|[._]|net)(G|D|gen|dis|generator|discriminator)_?(A2B|AtoB|AB|B2A|BtoA|BA|A|B)(?![a-z0-9])",
    re.IGNORECASE,
)
_WAYS = {"A2B": "A", "ATOB": "A", "AB": "A", "B2A": "B", "BTOA": "B", "BA": "B"}
_WRAPPERS = ("module", "_orig_mod")
_DEEPEST = 8  # tables within tables
#: First kernels, by which networks are known: the generators', PatchGANs' and pixel PatchGANs'.
_GENERATOR = "model.1.weight"
_DISCRIMINATORS = {"model.0.weight": 4, "net.0.weight": 1}


def _tensors(content: Any, depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield names, without what wrappers put in between, and tensors; other values are skipped."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    for key, value in content.items():
        name = ".".join(part for part in str(key).split(".") if part not in _WRAPPERS)
        if isinstance(value, Tensor):
            yield name, value
        else:
            for below, tensor in _tensors(value, depth + 1):
                yield (f"{name}.{below}" if name else below), tensor


def _root(key: str, value: Tensor, weights: Mapping[str, Tensor]) -> str | None:
    """Return the key prefix of a network if `key` is its first kernel; else None."""
    if key.endswith(_GENERATOR) and _is_kernel(value, 7):
        return _before(key, _GENERATOR)
    for first, side in _DISCRIMINATORS.items():
        if key.endswith(first) and _is_kernel(value, side):
            root = _before(key, first)
            # A U-Net has layers within its second one, where a discriminator has none.
            nested = root is not None and any(k.startswith(f"{root}model.1.") for k in weights)
            return None if nested else root
    return None


def _before(key: str, end: str) -> str | None:
    root = key.removesuffix(end)
    return root if root == "" or root.endswith(".") else None


def _is_kernel(value: Tensor | None, side: int) -> bool:
    return value is not None and value.ndim == 4 and value.shape[2] == side


def _below(root: str, weights: Mapping[str, Tensor]) -> Weights:
    return {key.removeprefix(root): v for key, v in weights.items() if key.startswith(root)}


def _folded(weights: Weights) -> Weights:
    """Return the weights with spectral norms folded in (Miyato et al. 2018).

    Each kernel that is stored beside its singular vectors is divided by its largest singular value.
    Both of torch's ways of storing them are known.
    """
    made = dict(weights)
    for original, u, v, folded in _SPECTRAL:
        for key in [key for key in weights if key.endswith(original)]:
            layer = key.removesuffix(original)
            kernel, left, right = (weights.get(layer + end) for end in (original, u, v))
            sigma = _sigma(kernel, left, right)
            if kernel is not None and sigma is not None:
                for end in (original, u, v):
                    del made[layer + end]
                made[layer + folded] = kernel / sigma
    return made


_SPECTRAL = (
    ("weight_orig", "weight_u", "weight_v", "weight"),
    (
        "parametrizations.weight.original",
        "parametrizations.weight.0._u",
        "parametrizations.weight.0._v",
        "weight",
    ),
)


def _sigma(kernel: Tensor | None, left: Tensor | None, right: Tensor | None) -> Tensor | None:
    """Return the largest singular value of a kernel; None if the vectors do not fit the kernel.

    The kernel is taken as a matrix whose rows are its output channels.
    """
    if kernel is None or left is None or right is None or kernel.ndim < 2:
        return None
    if left.ndim != 1 or right.ndim != 1:
        return None
    left, right = left.to(kernel.dtype), right.to(kernel.dtype)
    for way in (kernel, kernel.transpose(0, 1)):  # transposed convolutions have it second
        matrix = way.flatten(1)
        if matrix.shape == (len(left), len(right)):
            return left @ (matrix @ right)
    return None


@dataclass(frozen=True)
class Architecture:
    """The architecture of a generator, as its file tells it."""

    generator: GeneratorSettings
    input_nc: int
    output_nc: int
    norm: Norm

    def build(self) -> nn.Module:
        """Build the network, its weights not loaded yet."""
        return self.generator.build(self.input_nc, self.output_nc, self.norm)


def read_weights(path: Path) -> Weights:
    """Read a state dict of the classic scripts. Raises UserError if the file holds none."""
    return clean(load_plain(path), path)


def clean(content: Any, path: Path) -> Weights:
    """Return the one network that `path` holds, free of what wrappers and old versions left in it.

    Raises UserError if `path` holds no state dict, or several.
    """
    found = every(content, path)
    if len(found) > 1:
        raise UserError(f"{path}: holds several networks ({', '.join(found)}): give one of them")
    return next(iter(found.values()))


def every(content: Any, path: Path) -> dict[str, Weights]:
    """Return all networks that `path` holds, by their names in it, each cleaned as by `clean`.

    Running statistics of layers without a weight are dropped: this is how old InstanceNorm layers
    show. Raises UserError if `path` holds no state dict.
    """
    return {
        name: {key: tensor for key, tensor in weights.items() if not _stale(key, weights)}
        for name, weights in networks(content, path).items()
    }


def generator_of(content: Any, path: Path, ours: str) -> tuple[Weights, bool]:
    """Return the weights of the generator that we call `ours`, and whether the file names it.

    A single generator is taken whatever its name. Raises UserError, listing the generators, if none
    of several is called so.
    """
    found = every(content, path)
    generators = {name: one for name, one in found.items() if is_generator(one)}
    if len(generators) <= 1:
        return next(iter((generators or found).values())), False
    named = [one for name, one in generators.items() if known(name) == ours]
    if len(named) == 1:
        return named[0], True
    raise UserError(
        f"{path}: holds several generators ({', '.join(generators)}), and it is not clear which "
        f"one is {ours}: save that one in a file of its own"
    )


def infer_architecture(weights: Mapping[str, Tensor], path: Path) -> Architecture:
    """Infer blocks, ngf, channels, norm and dropout from keys and shapes.

    Raises UserError, saying what the file holds instead, if it is no ResNet generator.
    """
    try:
        return _inferred(weights, path)
    except (IndexError, ValueError) as error:  # shapes and numbers that no generator has
        raise UserError(f"{path}: not a generator that can be built ({in_words(error)})") from None


def _inferred(weights: Mapping[str, Tensor], path: Path) -> Architecture:
    first = weights.get("model.1.weight")
    blocks = {match[1] for match in map(_BLOCK.match, weights) if match}
    # By its place: files of safetensors are in the order of the alphabet.
    layers = {int(match[1]): weights[match[0]] for match in map(_LAYER.fullmatch, weights) if match}
    last = layers[max(layers)] if layers else None
    if first is None or first.ndim != 4 or first.shape[2] != 7 or last is None:
        raise UserError(f"{path}: {_what_else(weights)}; only ResNet generators can be loaded")
    norm: Norm = "batch" if "model.2.weight" in weights else "none"
    if "model.1.bias" in weights:
        norm = "instance"
    filters = {len(tensor[0, 0]) for key, tensor in weights.items() if _is_filter(key, tensor)}
    generator = ResnetSettings(
        ngf=first.shape[0],
        # CUT blurs by 3x3 where it makes smaller, by 4x4 where it enlarges.
        downsampling="antialiased" if 3 in filters else "strided",
        upsampling="antialiased" if 4 in filters else "transposed",
        n_blocks=len(blocks),
        # Dropout moves the second convolution from place 5 to 6, where else a norm may stand.
        dropout=any(
            key.endswith(".conv_block.6.weight") and tensor.ndim == 4
            for key, tensor in weights.items()
        ),
    )
    return Architecture(generator, first.shape[1], last.shape[0], norm)


def load_into(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights strictly. Raises UserError, naming the first layer that doesn't fit."""
    _compare(network.state_dict(), weights, path)
    network.load_state_dict(weights, strict=False)


def check_fit(build: Callable[[], nn.Module], weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise UserError as `load_into` does, before memory is allocated for the network.

    A file may claim any architecture; its weights are no larger than the file.
    """
    with torch.device("meta"):
        expected = build().state_dict()
    _compare(expected, weights, path)


def _compare(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    if not expected.keys() & weights.keys():
        raise UserError(f"{path}: {_what_else(weights)}, which doesn't match these settings")
    for key in [*expected, *weights]:
        # A counter of BatchNorm that files from before torch 0.4.1 lack; it changes no picture.
        if key.endswith("num_batches_tracked"):
            continue
        if key in weights and not weights[key].is_floating_point():
            raise UserError(f"{path}: {key} holds {weights[key].dtype}, but weights must be floats")
        given, wanted = _shape(weights.get(key)), _shape(expected.get(key))
        if given != wanted:
            raise UserError(
                f"{path}: weights of another architecture ({key}: the file has {given}, "
                f"these settings {wanted}); give the settings it was trained with"
            )


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder of the classic scripts' files and not of a run."""
    return path.is_dir() and not any(path.glob("*.pt")) and any(path.glob("*_net_*.pth"))


def find_files(folder: Path, epoch: str = "latest") -> dict[str, Path]:
    """Return the classic scripts' files in `folder`, by our names of the networks.

    These are the latest epoch's, else the newest epoch's; an epoch with all four files comes before
    one with fewer. If `epoch` is a number, only that epoch counts. Raises UserError if there are
    none.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in folder.glob("*_net_*.pth"):
        match = re.fullmatch(r"(latest|\d+)_net_(G_A|G_B|D_A|D_B|G)\.pth", path.name)
        if match and epoch in ("latest", match[1]):  # a downloaded generator has no letter
            name = "G_A" if match[2] == "G" else match[2]
            found.setdefault(match[1], {}).setdefault(NETWORKS[name], path)
    if not any("generator" in ours for files in found.values() for ours in files):
        raise UserError(
            f"{folder}: holds no {epoch}_net_G.pth, {epoch}_net_G_A.pth or {epoch}_net_G_B.pth (or "
            "another epoch's), and is not a checkpoint"
        )
    return max(found.items(), key=_completeness)[1]


def _is_filter(key: str, tensor: Tensor) -> bool:
    return key.endswith(".filt") and tensor.ndim == 4


_LAYER = re.compile(r"model\.(\d+)\.weight")
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


def _completeness(epoch: tuple[str, Mapping[str, Path]]) -> tuple[bool, bool, bool, int]:
    """Return an epoch's sort key: all four files first, any generators, the latest, the newest."""
    name, files = epoch
    whole = len(files) == len(NETWORKS)
    number = int(name) if name.isdigit() else 0
    return whole, any("generator" in ours for ours in files), name == "latest", number
