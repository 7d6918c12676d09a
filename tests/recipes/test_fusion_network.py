"""The network of encoder, fusion and decoder."""

import numpy as np
import pytest
import torch
from conftest import smooth_image
from torch import Tensor

from cyclegan.features.table import LAYERED
from cyclegan.metrics.collapse import luminance
from cyclegan.recipes.fusion import FusionName, FusionNetworkSettings
from cyclegan.recipes.fusion.fusions import FUSIONS
from cyclegan.recipes.fusion.network import (
    Decoder,
    Encoder,
    FusionNetwork,
    StyledNetwork,
    colors_of,
    fusion_network,
    recolored,
)


def network(fusion: FusionName = "adain", *, match_colors: bool = False) -> FusionNetwork:
    torch.manual_seed(0)
    encoder = Encoder(LAYERED["plain"](None), "conv2")
    decoder = Decoder(encoder.channels, encoder.scale, 3, 4, bounded=not match_colors)
    fusing = FUSIONS[fusion](encoder.channels)
    return FusionNetwork(encoder, fusing, decoder, match_colors=match_colors)


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


def painting(seed: int) -> Tensor:
    """(1, 3, 40, 48) in [-1, 1]: soft shapes in a palette of its own."""
    return (
        torch.from_numpy(np.array(smooth_image(seed, (48, 40)))).permute(2, 0, 1)[None] / 127.5 - 1
    )


def off(made: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Of colours in [0, 1]: difference of means, and of covariances as a share of the wanted."""
    (mean, spread), (its, theirs) = (
        (flat.mean(1), torch.cov(flat))
        for flat in ((images[0] / 2 + 0.5).flatten(1) for images in (made, wanted))
    )
    return (mean - its).abs().max().item(), ((spread - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize("seed", range(4))
def test_colours_take_on_any_mean_and_covariance(seed: int) -> None:
    image, style = painting(seed), painting(seed + 10)
    mean, covariance = off(recolored(image, colors_of(style)), style)
    assert mean < 0.05
    assert covariance < 0.15
    assert min(off(image, style)) > 0.05


def test_what_is_lighter_stays_lighter() -> None:
    image = painting(0) / 4
    made = recolored(image, colors_of(painting(9) / 4))
    order = luminance(image).flatten().argsort()
    assert (luminance(made).flatten()[order].diff() > -1e-4).all()


def test_pictures_without_colours_stay_finite() -> None:
    flat, gray = torch.full((1, 3, 8, 8), 0.3), painting(0).mean(1, keepdim=True)
    for image, style in [(flat, painting(1)), (painting(1), flat), (flat, flat)]:
        assert recolored(image, colors_of(style)).isfinite().all()
    made = recolored(painting(1), colors_of(gray))
    assert (made - luminance(made)).abs().max() < 0.1


def test_matched_colours_are_those_of_paintings_never_seen() -> None:
    whole, image = network(match_colors=True), painting(0)
    for seed in (20, 21, 22):
        mean, covariance = off(whole(image, [painting(seed)]), painting(seed))
        assert mean < 0.05
        assert covariance < 0.15


def test_matched_colours_follow_strength_weights_and_mask() -> None:
    whole, image, first, second = (
        network(match_colors=True),
        *(painting(seed) for seed in (0, 1, 2)),
    )
    assert off(whole(image, [first], strength=0.0), image)[1] < 0.15
    mixed = whole(image, [first, second], [3, 1])
    torch.testing.assert_close(
        colors_of(mixed)[..., 0],
        (0.75 * colors_of(first) + 0.25 * colors_of(second))[..., 0],
        atol=0.05,
        rtol=0,
    )
    mask = torch.zeros(1, 1, 40, 48)
    mask[..., 24:] = 1
    made = whole(image, [first], mask=mask)
    assert torch.equal(made[..., :24], image[..., :24])
    mean, covariance = off(made[..., 24:], first)
    assert mean < 0.05
    assert covariance < 0.15


def test_matched_colours_are_float32_under_autocast() -> None:
    image, wanted = painting(0), colors_of(painting(9))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = recolored(image.bfloat16(), wanted)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, recolored(image, wanted), atol=0.03, rtol=0)


def test_without_matching_the_decoder_has_the_last_word() -> None:
    """As checkpoints from before have it."""
    settings = FusionNetworkSettings(fusion_layer="conv1", decoder_width=4)
    torch.manual_seed(0)
    whole = fusion_network(LAYERED["plain"](None), settings, 3)
    image, style = painting(0), painting(1)
    maps = whole.fuse(whole.encode(image), [whole.encode(style)])
    assert torch.equal(whole(image, [style]), whole.decoder.layers(maps).tanh())


@pytest.mark.parametrize("match_colors", [False, True])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_painted_network_is_the_network_with_its_styles(
    fusion: FusionName, match_colors: bool
) -> None:
    whole = network(fusion, match_colors=match_colors)
    image, styles = pictures(0), [pictures(1, 9, 20), pictures(2)]
    painted = StyledNetwork(whole, styles, [2, 1]).eval()
    torch.testing.assert_close(painted(image), whole(image, styles, [2, 1]))
    rounded = painted(image.bfloat16())
    assert rounded.dtype == torch.float32  # pixels are made in full
    torch.testing.assert_close(rounded, painted(image), atol=0.05, rtol=0)
