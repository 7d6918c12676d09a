"""PatchNCE: places find themselves."""

import pytest
import torch

from cyclegan.generators import GENERATORS
from cyclegan.losses.patch_nce import Heads, Patches


def identity_heads() -> Heads:
    heads = Heads([8])
    for layer in (heads.heads[0][0], heads.heads[0][2]):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return heads


def test_a_place_that_is_itself_costs_nothing_and_another_much() -> None:
    maps = torch.nn.functional.one_hot(torch.arange(8)).float().T.reshape(1, 8, 2, 4)
    patches = Patches(lambda images: [images], identity_heads())
    same = patches.loss(maps, maps).item()
    moved = patches.loss(maps, maps.roll(1, dims=3)).item()
    alike = patches.loss(maps, torch.ones_like(maps)).item()
    assert same == pytest.approx(0, abs=1e-4)
    assert moved == pytest.approx(1 / 0.07, rel=1e-3)
    assert alike == pytest.approx(torch.tensor(8.0).log().item(), rel=1e-3)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_encodes_and_learns_from_it(name: str) -> None:
    torch.manual_seed(0)
    network = GENERATORS[name].settings(ngf=4).build(3, 3, "instance")
    source = torch.rand(2, 3, 32, 32) * 2 - 1
    maps = network.encode(source)
    assert len(maps) >= 3
    assert len({one.shape[2] for one in maps}) >= 3, "of several sizes"
    heads = Heads([one.shape[1] for one in maps])
    Patches(network.encode, heads).loss(source, network(source)).backward()
    assert all(weights.grad is not None for weights in heads.parameters())
    first = next(network.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0
