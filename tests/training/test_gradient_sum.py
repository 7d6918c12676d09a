"""When gradients are summed; that sums are right, tests/test_distributed.py asks of processes."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import distributed, nn

from cyclegan.distributed import ALONE
from cyclegan.training import gradient_sum
from cyclegan.training.gradient_sum import GradientSum


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Sizes of what was summed, over the one process of a real group."""
    monkeypatch.setattr(gradient_sum, "BUCKET", 64)
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    sizes: list[int] = []
    usual = distributed.all_reduce

    def noted(values: torch.Tensor, **how: Any) -> Any:
        sizes.append(values.numel())
        return usual(values, **how)

    monkeypatch.setattr(distributed, "all_reduce", noted)
    yield sizes
    distributed.destroy_process_group()


@pytest.fixture
def network() -> nn.Sequential:
    """Three layers of 16, 32 and 48 weights, each a bucket of its own."""
    sizes = (1, 16, 2, 24)
    return nn.Sequential(*(nn.Linear(*pair, bias=False) for pair in pairwise(sizes)))


def sums_of(network: nn.Module) -> GradientSum:
    return GradientSum(torch.optim.SGD(network.parameters(), lr=0.1), ALONE)


def backward(network: nn.Module, images: int = 1) -> None:
    loss = network(torch.ones(images, 1)).sum()
    loss.backward()


def test_buckets_are_summed_while_the_rest_is_computed(
    summed: list[int], network: nn.Sequential
) -> None:
    sums = sums_of(network)
    for kind in ("one", "one", "other"):
        summed.clear()
        sums.begin(kind)
        backward(network)
        before = list(summed)
        told = sums.finish({"loss": torch.tensor(2.0)})
        assert summed == [48, 32, 16, 1]  # the last layer's gradients come first
        assert told == {"loss": torch.tensor(2.0)}
    assert before == []  # a new kind of step: nothing is known of it
    summed.clear()
    sums.begin("one")
    backward(network)
    assert summed == [48, 32, 16]
    sums.finish({})


def test_a_bucket_waits_for_the_last_part_that_it_has_a_place_in(
    summed: list[int], network: nn.Sequential
) -> None:
    """Here the first layer alone has a place in the second part."""
    sums, seen = sums_of(network), []
    for _ in range(2):
        summed.clear()
        sums.begin("turn")
        backward(network)
        seen.append(list(summed))
        network[0](torch.ones(1, 1)).sum().backward()
        sums.finish({})
    assert seen == [[], [48, 32]]
    assert summed == [48, 32, 16]


def test_what_a_step_does_not_learn_is_not_summed(
    summed: list[int], network: nn.Sequential
) -> None:
    sums = sums_of(network)
    sums.begin("warming up")
    sums.finish({"loss": torch.tensor(1.0), "other": torch.tensor(1.0)})
    assert summed == [2]


def test_a_gradient_that_grows_after_it_was_summed_is_an_error(
    summed: list[int], network: nn.Sequential
) -> None:
    sums = sums_of(network)
    sums.begin("once")
    backward(network)
    sums.finish({})
    sums.begin("once")
    backward(network)
    with pytest.raises(RuntimeError, match="grew after it was summed"):
        backward(network)


def test_frozen_networks_are_followed_when_they_learn(
    summed: list[int], network: nn.Sequential
) -> None:
    network.requires_grad_(False)
    sums = sums_of(network)
    assert not any(weight.requires_grad for weight in network.parameters())
    network.requires_grad_(True)
    sums.begin("thawed")
    backward(network)
    sums.finish({})
    assert summed == [48, 32, 16]
