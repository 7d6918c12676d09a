"""Every discriminator of the table keeps the contract; the PatchGAN has the classic's keys."""

import pytest
import torch
from torch import nn

from cyclegan.discriminators import DISCRIMINATORS, BasicSettings, NLayersSettings
from cyclegan.layers.convolution import initialize


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
    assert scores.shape[:2] == (2, {"multiscale": 2, "projected": 5}.get(name, 1))
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


def test_scales_see_the_image_at_half_the_size_each() -> None:
    network = DISCRIMINATORS["multiscale"].settings(ndf=2, n_scales=3).build(3, "none")
    flat = torch.full((1, 3, 96, 96), 0.3)
    scores = network(flat)
    assert scores.shape[1] == 3
    for number, scale in enumerate(network.scales):
        side = 96 >> number
        own = scale(torch.full((1, 3, side, side), 0.3))
        assert torch.allclose(scores[0, number, 0, 0], own[0, 0, 0, 0])


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_spectral_norm_bounds_every_weight_and_initial_weights_are_drawn(name: str) -> None:
    torch.manual_seed(0)
    settings = DISCRIMINATORS[name].settings(ndf=4, spectral_norm=True)
    network = initialize(settings.build(3, "instance"), "normal", 5.0).train()
    for _ in range(60):  # each pass takes a step of the power iteration
        network(torch.zeros(1, 3, max(8, settings.smallest_side), max(8, settings.smallest_side)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            largest = torch.linalg.matrix_norm(module.weight.flatten(1), 2)
            assert largest.item() == pytest.approx(1, abs=0.05)
            assert module.parametrizations.weight.original.std() > 2
