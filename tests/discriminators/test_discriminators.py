"""Every discriminator of the table keeps the contract; the PatchGAN has the classic's keys."""

import pytest
import torch

from cyclegan.discriminators import DISCRIMINATORS
from cyclegan.discriminators.settings import BasicSettings, NLayersSettings


def small(name: str) -> object:
    return DISCRIMINATORS[name].settings(ndf=2)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("channels", [1, 3])
def test_contract(name: str, norm: str, channels: int) -> None:
    torch.manual_seed(0)
    settings = small(name)
    network = settings.build(channels, norm)
    side = max(4, settings.smallest_side)
    scores = network(torch.rand(2, channels, side, side + 4) * 2 - 1)
    assert scores.shape[:2] == (2, 1)
    assert min(scores.shape[2:]) >= 1
    scores.mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("n_layers", [1, 2, 3, 5])
def test_smallest_side_is_the_smallest(n_layers: int) -> None:
    settings = NLayersSettings(ndf=2, n_layers_D=n_layers)
    network = settings.build(3, "none")
    side = settings.smallest_side
    assert network(torch.zeros(1, 3, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, side - 2, side - 2))


def test_keys_and_strides_are_the_classics() -> None:
    network = BasicSettings(ndf=2).build(3, "instance")
    layers = sorted({int(key.split(".")[1]) for key in network.state_dict()})
    assert layers == [0, 2, 5, 8, 11]
    strides = [network.model[number].stride[0] for number in layers]
    assert strides == [2, 2, 2, 1, 1]
    assert "net.5.weight" in small("pixel").build(3, "instance").state_dict()


def test_a_score_sees_70_pixels() -> None:
    network = BasicSettings(ndf=2).build(3, "none").double()
    x = torch.zeros(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    scores = network(x + torch.rand_like(x))
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    rows = x.grad[0].abs().sum((0, 2)).nonzero()
    assert rows.max() - rows.min() + 1 == 70
