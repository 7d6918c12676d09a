"""Every generator of the table keeps the contract; the ResNet has the classic's keys."""

import pytest
import torch

from cyclegan.execution.execution import Execution
from cyclegan.generators import GENERATORS, ResnetSettings


def small(name: str) -> object:
    return GENERATORS[name].over(ResnetSettings(ngf=2), "netG")


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("channels", [(3, 3), (1, 3), (3, 1)])
def test_contract(name: str, norm: str, channels: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = small(name).build(*channels, norm)
    x = torch.rand(2, channels[0], 24, 16) * 2 - 1
    y = network(x)
    assert y.shape == (2, channels[1], 24, 16)
    assert y.abs().max() <= 1
    y.mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "blocks", "rest"),
    [
        ("resnet_9blocks", range(10, 19), (19, 22, 26)),
        ("resnet_6blocks", range(10, 16), (16, 19, 23)),
    ],
)
def test_keys_are_the_classics(name: str, blocks: range, rest: tuple[int, ...]) -> None:
    layers = {key.rpartition(".")[0] for key in small(name).build(3, 3, "instance").state_dict()}
    ends = {f"model.{number}" for number in (1, 4, 7, *rest)}
    inner = {f"model.{number}.conv_block.{place}" for number in blocks for place in (1, 5)}
    assert layers == ends | inner


def test_dropout_moves_the_second_convolution() -> None:
    state = ResnetSettings(ngf=2, n_blocks=1, dropout=True).build(3, 3, "instance").state_dict()
    assert "model.10.conv_block.6.weight" in state
    assert "model.10.conv_block.5.weight" not in state


@pytest.mark.parametrize(("norm", "biases"), [("instance", True), ("batch", False)])
def test_biases_as_in_the_classic(norm: str, biases: bool) -> None:
    state = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, norm).state_dict()
    assert ("model.1.bias" in state) == biases
    assert "model.18.bias" in state  # the last convolution always has one


@pytest.mark.parametrize("n_blocks", [0, 1, 4])
def test_any_number_of_blocks(n_blocks: int) -> None:
    network = ResnetSettings(ngf=2, n_blocks=n_blocks).build(3, 3, "instance")
    assert sum("conv_block.1.weight" in key for key in network.state_dict()) == n_blocks


def test_the_transformer_s_blocks_start_by_adding_nothing_and_see_the_whole_image() -> None:
    torch.manual_seed(0)
    network = GENERATORS["unet_transformer"].settings(ngf=4, n_blocks=2).build(3, 3, "none")
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    bottom = network.bottom
    inner = bottom.enter.out_channels
    values = torch.rand(1, inner, 3, 5)
    for block in bottom.blocks:
        assert torch.equal(block(values), values)
        block.share.data.fill_(1.0)
    network(x)[0, :, 0, 0].sum().backward()
    assert x.grad[0, :, -1, -1].abs().sum() > 0


@pytest.mark.parametrize("side", [8, 20, 37])
def test_the_transformer_takes_any_side(side: int) -> None:
    network = GENERATORS["unet_transformer"].settings(ngf=4, n_blocks=1).build(3, 3, "instance")
    x = torch.rand(1, 3, side, side + 3) * 2 - 1
    assert network(x).shape == x.shape
    half = Execution("cpu", 0, "bf16", channels_last=True).prepare(network)(x)
    assert (half - network(x)).abs().mean() < 0.05


def test_a_residual_generator_that_makes_no_change_gives_the_image_back() -> None:
    network = ResnetSettings(ngf=2, n_blocks=1, residual=True).build(3, 3, "instance")
    plain = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "instance")
    assert network.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        for values in network.model[-2].parameters():
            values.zero_()
    x = torch.rand(2, 3, 16, 12) * 2 - 1
    assert torch.allclose(network(x), 0.99 * x, atol=1e-6)
    with torch.no_grad():
        network.model[-2].bias.fill_(100.0)
    white = network(x)
    assert white.isfinite().all()
    assert white.max() <= 1
