"""Layers that compute again what they did not keep."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cyclegan.generators.resnet import ResnetBlock
from cyclegan.layers.chain import recompute


@pytest.mark.parametrize("dropout", [False, True])
def test_random_numbers_are_kept_only_where_some_are_drawn(
    dropout: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU it costs a copy for each segment, and what waits can't be captured in a graph."""
    kept: list[Tensor] = []
    state: Callable[[], Tensor] = torch.get_rng_state

    def keep() -> Tensor:
        kept.append(state())
        return kept[-1]

    monkeypatch.setattr(torch, "get_rng_state", keep)
    torch.manual_seed(0)
    block = ResnetBlock(4, "instance", dropout=dropout)
    images = torch.rand(1, 4, 8, 8)
    found = []
    for how in ("off", "light"):
        recompute(block, how)
        block.zero_grad()
        torch.manual_seed(1)
        block(images).square().sum().backward()
        found.append([p.grad.clone() for p in block.parameters() if p.grad is not None])
    for expected, gradient in zip(*found, strict=True):
        torch.testing.assert_close(gradient, expected)
    assert bool(kept) == dropout
