"""The PatchGAN beside heads on the maps of a frozen network."""

import pytest
import torch
from torch import Tensor, nn

from cyclegan.discriminators import ProjectedSettings
from cyclegan.features.table import LAYERED
from cyclegan.layers.convolution import initialize


def build(seed: int = 0, **values: object) -> nn.Module:
    torch.manual_seed(seed)
    settings = ProjectedSettings(ndf=4, projection="efficientnet-lite0", **values)  # type: ignore[arg-type]
    return initialize(settings.build(3, "instance"), "normal", 0.02)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_first_channel_is_the_patchgan(images: Tensor) -> None:
    network = build()
    scores = network(images)
    maps = LAYERED["efficientnet-lite0"](None).compared
    patch = network.patch(images)
    assert scores.shape == (2, 1 + len(maps), *patch.shape[2:])
    torch.testing.assert_close(scores[:, :1], patch)


def test_the_frozen_network_is_neither_trained_nor_saved() -> None:
    network = build()
    frozen = LAYERED["efficientnet-lite0"](None)
    weights = [one for module in frozen.modules() for one in module.parameters()]
    trained = [*network.parameters()]
    assert not any(one.shape == other.shape and torch.equal(one, other)
                   for one in weights for other in trained)  # fmt: skip
    assert {name.split(".")[0] for name in network.state_dict()} == {"patch", "mix", "heads"}
    assert not any("mix" in name for name, _ in network.named_parameters())


def test_each_head_tells_the_image_what_to_change(images: Tensor) -> None:
    network = build()
    for channel in range(1, network(images).shape[1]):
        seen = images.clone().requires_grad_()
        network(seen)[:, channel].sum().backward()
        assert seen.grad is not None
        assert seen.grad.abs().amax() > 0


def test_another_build_with_the_saved_weights_scores_alike(images: Tensor) -> None:
    """The random mixing is part of what is saved: a resumed run is judged as before."""
    first, second = build(0).eval(), build(1).eval()
    assert not torch.equal(first(images), second(images))
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(images), second(images))


def test_it_moves_as_a_whole(images: Tensor) -> None:
    network = build().eval()
    before = network(images)
    after = network.double()(images.double())
    assert after.dtype == torch.float64
    assert (after - before).norm() < 1e-3 * before.norm()


def test_a_heads_weights_stay_bounded(images: Tensor) -> None:
    network = build()
    for head in network.heads:
        for module in head:
            if isinstance(module, nn.Conv2d):
                module.parametrizations.weight.original.data.mul_(100)
    network.eval().train()
    for _ in range(20):
        network(images)
    norms = [
        torch.linalg.matrix_norm(module.weight.flatten(1), 2)
        for head in network.heads
        for module in head
        if isinstance(module, nn.Conv2d)
    ]
    assert max(norms) < 1.2
