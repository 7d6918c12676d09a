"""Each fusion module makes of content what it says it does."""

import pytest
import torch
from torch import Tensor

from cyclegan.recipes.fusion.fusions import FUSIONS


def maps(seed: int, *shape: int) -> Tensor:
    """Features that go together, each with a mean and a deviation of its own."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(shape[1], shape[1], generator=generator)
    plain = torch.randn(shape, generator=generator)
    return torch.einsum("cd,ndhw->nchw", mixed, plain) + torch.randn(
        1, shape[1], 1, 1, generator=generator
    )


def covariance(maps: Tensor) -> Tensor:
    flat = maps.flatten(2) - maps.flatten(2).mean(2, keepdim=True)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
def test_the_result_has_the_contents_shape_whatever_the_styles_is(fusion) -> None:
    torch.manual_seed(0)
    fused = fusion(6)(maps(0, 2, 6, 5, 9), maps(1, 1, 6, 8, 3))
    assert fused.shape == (2, 6, 5, 9)
    assert fused.isfinite().all()


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
def test_flat_features_stay_finite(fusion) -> None:
    """As ReLU leaves many: one that is dead in the content, one in the style."""
    content, style = maps(0, 1, 6, 5, 5), maps(1, 1, 6, 5, 5)
    content[:, 0], style[:, 1] = 0, 3
    torch.manual_seed(0)
    fused = fusion(6)(content, style)
    assert fused.isfinite().all()
    assert fusion(6)(torch.zeros(1, 6, 2, 2), torch.zeros(1, 6, 2, 2)).isfinite().all()


def test_adain_gives_the_styles_mean_and_deviation() -> None:
    style = maps(1, 2, 6, 7, 7)
    fused = FUSIONS["adain"](6)(maps(0, 2, 6, 9, 5), style)
    for statistic in (torch.mean, torch.std):
        made, wanted = (statistic(one.flatten(2), 2) for one in (fused, style))
        ratio = {torch.std: (49 * 44 / (48 * 45)) ** 0.5}.get(statistic, 1.0)  # both over n - 1
        torch.testing.assert_close(made * ratio, wanted, atol=1e-4, rtol=0)


def test_adain_keeps_where_the_content_is_more_and_less() -> None:
    content = maps(0, 1, 4, 6, 6)
    fused = FUSIONS["adain"](4)(content, maps(1, 1, 4, 6, 6))
    for before, after in zip(content[0], fused[0], strict=True):
        assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.9999


def test_wct_gives_the_styles_covariance() -> None:
    style = maps(1, 2, 6, 7, 7)
    fused = FUSIONS["wct"](6)(maps(0, 2, 6, 9, 5), style)
    torch.testing.assert_close(covariance(fused), covariance(style), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(fused.mean((2, 3)), style.mean((2, 3)), atol=1e-4, rtol=0)


def test_wct_survives_fewer_places_than_features() -> None:
    fused = FUSIONS["wct"](32)(maps(0, 1, 32, 3, 3), maps(1, 1, 32, 2, 2))
    assert fused.isfinite().all()
    assert fused.abs().max() < 1e3


def test_attention_is_trained_and_adds_to_the_content() -> None:
    torch.manual_seed(0)
    attention = FUSIONS["attention"](6)
    content, style = maps(0, 2, 6, 4, 4), maps(1, 2, 6, 4, 4)
    attention(content, style).square().mean().backward()
    assert all(weight.grad is not None for weight in attention.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in (attention.query.weight,))
    with torch.no_grad():
        attention.join.weight.zero_()
        attention.join.bias.zero_()
    torch.testing.assert_close(attention(content, style), content)


def test_attention_looks_at_shapes_not_at_strengths() -> None:
    torch.manual_seed(0)
    attention = FUSIONS["attention"](6)
    content, style = maps(0, 1, 6, 4, 4), maps(1, 1, 6, 4, 4)
    other = 3 * content + torch.arange(6.0)[:, None, None]
    taken = attention(content, style) - content
    torch.testing.assert_close(attention(other, style) - other, taken, atol=1e-4, rtol=1e-4)


def test_attention_takes_the_place_that_fits() -> None:
    """With the same map as content and style, and sharp likenesses, each place finds itself."""
    torch.manual_seed(0)
    attention = FUSIONS["attention"](8)
    content = maps(0, 1, 8, 3, 3)
    with torch.no_grad():
        for layer in (attention.query, attention.key, attention.value, attention.join):
            layer.weight.copy_(torch.eye(8)[:, :, None, None])
            layer.bias.zero_()
        attention.query.weight.mul_(1000)
    torch.testing.assert_close(attention(content, content), 2 * content, atol=1e-3, rtol=1e-3)
