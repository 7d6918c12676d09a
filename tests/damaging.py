"""Checkpoints that are whole files of something else: a part missing, or of another type."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

OTHERS: tuple[Any, ...] = (
    None, True, -1, 0, 3, 10**30, 0.5, float("nan"), "", "x", "\ud800", b"x", [], [1], {}, {"x": 1},
    {1: 2}, {(1, 2): 3}, torch.zeros(()), torch.zeros(0), torch.ones(2, 3), torch.zeros(1).long(),
)  # fmt: skip


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container within `value`, with each key or index of it."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def mutated(content: Any, seed: int) -> tuple[Any, str]:
    """`content` with one thing changed, and what that is."""
    draw, content = random.Random(seed), copy.deepcopy(content)
    part = draw.choice([*content, "state", "settings"])
    places = [place for place in _places(content) if place[0] is content and place[1] == part]
    places += list(_places(content.get(part)))
    container, key = draw.choice(places)
    was = container[key]
    how = draw.choice(["gone", "other", "renamed", "doubled", "turned"])
    if how == "gone":
        del container[key]
    elif how == "renamed" and isinstance(container, dict):
        container[draw.choice(["x", 7, None])] = container.pop(key)
    elif how == "doubled" and isinstance(was, str | list | int) and not isinstance(was, bool):
        container[key] = was * 2
    elif isinstance(was, Tensor) and how != "other":
        container[key] = draw.choice([_flat, _longer, _half, _repeated])(was)
    else:
        container[key] = draw.choice(OTHERS)
    return content, f"{part}: {how} {key!r}, {str(was)[:40]!r} is {str(container)[:60]!r}"


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)


def _longer(tensor: Tensor) -> Tensor:
    return tensor[None].repeat(2, *(1,) * tensor.ndim)


def _half(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor.float()


def _repeated(tensor: Tensor) -> Tensor:
    """A single value that claims a thousand million."""
    return torch.zeros((), dtype=tensor.dtype).expand(*tensor.shape, 10**9)
