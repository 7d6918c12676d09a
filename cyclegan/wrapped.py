"""Networks out of what files wrap them in: prefixes, tables within tables, spectral norms."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from cyclegan.errors import UserError

Weights = dict[str, Tensor]

#: The classic's names of its networks and ours. Its D_A judges images of B.
NETWORKS = {
    "G_A": "generator_a_to_b",
    "G_B": "generator_b_to_a",
    "D_A": "discriminator_b",
    "D_B": "discriminator_a",
}


def networks(content: Any, path: Path) -> dict[str, Weights]:
    """The networks that `path` holds, by the names that lead to them; "" where it is one alone.

    Tables within tables are looked through (`state_dict`, `netG_A`, `model`), what DataParallel and
    torch.compile put before names goes, and spectral norms are folded into the weights. What is no
    network that is known is given whole. Raises UserError where there are no tensors.
    """
    flat = dict(_tensors(content))
    if not flat:
        raise UserError(f"{path}: no state dict of a network (names and tensors)")
    folded = _folded(flat)
    roots = [
        root for key, value in folded.items() if (root := _root(key, value, folded)) is not None
    ]
    return {root.rstrip("."): _below(root, folded) for root in roots} or {"": folded}


def is_generator(weights: Mapping[str, Tensor]) -> bool:
    """Whether these are of a generator of the classic or of CUT."""
    return _is_kernel(weights.get(_GENERATOR), 7)


def known(name: str) -> str | None:
    """Our name of the network that a file calls `name`, if that says which one it is."""
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
    """Names without what wrappers put in between, and tensors; the rest is passed over."""
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
    """What stands before the names of a network whose first kernel this is."""
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
    """Each kernel divided by its largest singular value, where it is kept beside its vectors.

    Miyato et al. 2018. Both of torch's ways of keeping them are known.
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
    """Of a kernel as a matrix whose rows are what comes out; None where these do not fit."""
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
