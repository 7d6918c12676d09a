"""The network of encoder, fusion and decoder."""

import pytest
import torch
from torch import Tensor

from cyclegan.features.table import LAYERED
from cyclegan.fusion.decoder import Decoder
from cyclegan.fusion.encoder import Encoder
from cyclegan.fusion.network import FusionNetwork, Painted
from cyclegan.fusion.settings import FusionName
from cyclegan.fusion.table import FUSIONS


def network(fusion: FusionName = "adain") -> FusionNetwork:
    torch.manual_seed(0)
    encoder = Encoder(LAYERED["plain"](None), "conv2")
    return FusionNetwork(
        encoder, FUSIONS[fusion](encoder.channels), Decoder(encoder.channels, encoder.scale, 3, 4)
    )


def pictures(seed: int, height: int = 16, width: int = 16, count: int = 1) -> Tensor:
    return (
        torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    )


@pytest.mark.parametrize(
    ("name", "layer", "channels", "scale"),
    [
        ("plain", "conv1", 64, 1),
        ("plain", "conv3", 256, 4),
        ("efficientnet-lite0", "block4", 40, 8),
    ],
)
def test_the_encoder_knows_its_channels_and_its_scale(name, layer, channels, scale) -> None:
    encoder = Encoder(LAYERED[name](None), layer)
    assert (encoder.channels, encoder.scale) == (channels, scale)
    assert encoder(pictures(0, 32, 64)).shape == (1, channels, 32 // scale, 64 // scale)


def test_the_encoder_sees_what_the_feature_network_sees() -> None:
    images = pictures(0, 32, 32)
    seen = LAYERED["efficientnet-lite0"](None)(images, ["block2"])["block2"]
    encoder = Encoder(LAYERED["efficientnet-lite0"](None), "block2").train()
    torch.testing.assert_close(encoder(images), seen)  # the statistics of its norms stay
    assert not any(weights.requires_grad for weights in encoder.parameters())


@pytest.mark.parametrize("scale", [1, 2, 8])
def test_the_decoder_mirrors_any_scale(scale: int) -> None:
    made = Decoder(5, scale, 3, 4)(torch.randn(2, 5, 3, 4))
    assert made.shape == (2, 3, 3 * scale, 4 * scale)
    assert made.abs().max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (7, 16), (13, 17)])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_pictures_of_any_size_keep_it(fusion: FusionName, size: tuple[int, int]) -> None:
    made = network(fusion)(pictures(0, *size, count=2), [pictures(1, 9, 20)])
    assert made.shape == (2, 3, *size)
    assert made.isfinite().all()


def test_only_decoder_and_fusion_are_trained() -> None:
    whole = network("attention")
    whole(pictures(0), [pictures(1)]).square().mean().backward()
    assert all(weight.grad is None for weight in whole.encoder.parameters())
    trained = [*whole.decoder.parameters(), *whole.fusion.parameters()]
    assert trained and all(weight.grad is not None for weight in trained)


def test_a_weight_of_one_is_that_style_alone() -> None:
    whole, image, first, second = network(), pictures(0), pictures(1), pictures(2)
    alone = whole(image, [first])
    torch.testing.assert_close(whole(image, [first, second], [1, 0]), alone)
    torch.testing.assert_close(whole(image, [first, second], [0, 3]), whole(image, [second]))
    assert not torch.allclose(whole(image, [first, second]), alone)


def test_weights_mix_the_fused_maps() -> None:
    whole = network()
    content, *styles = (whole.encode(pictures(seed)) for seed in range(3))
    first, second = (whole.fuse(content, [style]) for style in styles)
    mixed = whole.fuse(content, styles, torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(mixed, 0.75 * first + 0.25 * second)


def test_no_strength_is_the_plain_reconstruction() -> None:
    whole, image = network(), pictures(0)
    plain = whole.decode(whole.encode(image), (16, 16))
    torch.testing.assert_close(whole(image, [pictures(1)], strength=0.0), plain)
    assert not torch.allclose(whole(image, [pictures(1)], strength=0.5), plain)


def test_outside_the_mask_pictures_are_as_they_were() -> None:
    whole, image = network(), pictures(0)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8:] = 1
    made = whole(image, [pictures(1)], mask=mask)
    assert torch.equal(made[..., :8], image[..., :8])
    assert (made[..., 8:] - image[..., 8:]).abs().mean() > 0.1


def test_the_mask_says_which_maps_are_fused() -> None:
    whole = network()
    content, style = whole.encode(pictures(0)), whole.encode(pictures(1))
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8:] = 1
    fused = whole.fuse(content, [style], share=mask)
    assert torch.equal(fused[..., :4], content[..., :4])
    torch.testing.assert_close(fused[..., 4:], whole.fuse(content, [style])[..., 4:])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_painted_network_is_the_network_with_its_styles(fusion: FusionName) -> None:
    whole, image, styles = network(fusion), pictures(0), [pictures(1, 9, 20), pictures(2)]
    painted = Painted(whole, styles, [2, 1]).eval()
    torch.testing.assert_close(painted(image), whole(image, styles, [2, 1]))
    rounded = painted(image.bfloat16())
    assert rounded.dtype == torch.float32  # pixels are made in full
    torch.testing.assert_close(rounded, painted(image), atol=0.05, rtol=0)
