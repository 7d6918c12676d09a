"""Initial weights."""

import pytest
import torch
from torch import nn

from cyclegan.layers.convolution import INITS, initialize


@pytest.mark.parametrize("init_type", INITS)
def test_weights_are_drawn_and_biases_zero(init_type: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ConvTranspose2d(32, 8, 3))
    before = network[0].weight.clone()
    initialize(network, init_type, 0.02)
    assert not torch.equal(network[0].weight, before)
    assert all((layer.bias == 0).all() for layer in network)
    assert network[1].weight.mean().item() == pytest.approx(1, abs=0.02)
    assert network[1].weight.std().item() == pytest.approx(0.02, rel=0.5)


def test_normal_has_the_given_spread() -> None:
    torch.manual_seed(0)
    weight = initialize(nn.Conv2d(64, 64, 3), "normal", 0.02).weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert weight.mean().item() == pytest.approx(0, abs=0.001)


def test_orthogonal_is_orthogonal() -> None:
    torch.manual_seed(0)
    weight = initialize(nn.Conv2d(16, 8, 3), "orthogonal", 1.0).weight.flatten(1)
    assert torch.allclose(weight @ weight.T, torch.eye(8), atol=1e-5)
