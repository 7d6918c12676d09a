"""Content and style against values worked out by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cyclegan.errors import UsageError
from cyclegan.features.table import LAYERED
from cyclegan.losses import PerceptualSettings, StyleLossSettings
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import make_objective
from cyclegan.losses.perceptual import STYLES, Perceptual, gram, statistics
from cyclegan.losses.pixels import variation
from cyclegan.translation import Translation

MAPS = torch.tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]])  # (1, 2, 1, 2)


def look(images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Two layers: the image itself, and twice its means over 2x2 places."""
    every = {"one": images * 1, "two": 2 * torch.nn.functional.avg_pool2d(images, 2)}
    return {name: every[name] for name in layers}


def perceptual(kind: str = "gram") -> Perceptual:
    return Perceptual(look, ("one",), ("one", "two"), STYLES[kind])


def test_gram_by_hand() -> None:
    """1*1 + 2*2 = 5, 1*3 + 2*5 = 13, 3*3 + 5*5 = 34; over 2 places and the root of 2 features."""
    expected = torch.tensor([[[5.0, 13.0], [13.0, 34.0]]]) / (2 * 2**0.5)
    assert torch.allclose(gram(MAPS), expected)


def test_statistics_by_hand() -> None:
    expected = torch.tensor([[[1.5, 0.5], [4.0, 1.0]]])
    assert torch.allclose(statistics(MAPS), expected, atol=1e-4)


def test_total_variation_by_hand() -> None:
    """Across: (1, 4) squared, their mean 8.5; down: (1, 2) squared, their mean 2.5."""
    image = torch.tensor([[[[0.0, 1.0], [-1.0, 3.0]]]])
    assert variation(image).item() == pytest.approx((1 + 16) / 2 + (1 + 4) / 2)
    assert variation(torch.zeros(1, 3, 1, 1)).item() == 0


def test_total_variation_counts_colour_more_than_light() -> None:
    """A step in red is 0.299 of light; the rest, (0.701, -0.299, -0.299), counts five times."""
    step = torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2)
    assert variation(step).item() == pytest.approx(1)
    red = step * torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    colour = (0.701**2 + 2 * 0.299**2) / 3
    assert variation(red).item() == pytest.approx(1 / 3 + 5 * colour)


def test_content_is_the_mean_of_squares() -> None:
    made, wanted = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    one = perceptual()
    assert one.content(one.maps(made), one.content_of(wanted)).item() == pytest.approx(0.25)


def test_style_by_hand() -> None:
    """Sum over layers of 1 / N_i * ||F_i(S) - F_i(G)||^2, here written out for Gram matrices."""
    torch.manual_seed(0)
    made, painting = torch.rand(2, 3, 4, 6), torch.rand(1, 3, 6, 4)
    expected = torch.zeros(())
    for name in ("one", "two"):
        (style,) = look(painting, [name])[name]
        wanted = sum(
            torch.outer(style[:, y, x], style[:, y, x])
            for y in range(style.shape[1])
            for x in range(style.shape[2])
        ) / (style[0].numel() * 3**0.5)
        for image in look(made, [name])[name]:
            places = image.flatten(1)
            found = places @ places.T / (places.shape[1] * 3**0.5)
            expected += (found - wanted).square().sum() / 3 / len(made)
    one = perceptual()
    found = one.style(one.maps(made), one.style_of(painting))
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_gram_weighs_layers_as_the_papers_do() -> None:
    """Gatys et al. 2016, equation 4, but for its factor of 1 / 4."""
    torch.manual_seed(0)
    made, painting = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    one = Perceptual(look, (), ("one",), STYLES["gram"])
    n, m = 3, 16
    grams = [image.flatten(2)[0] @ image.flatten(2)[0].T for image in (made, painting)]
    theirs = (grams[0] - grams[1]).square().sum() / (4 * n**2 * m**2)
    found = one.style(one.maps(made), one.style_of(painting))
    assert found.item() == pytest.approx(4 * theirs.item(), rel=1e-4)


@pytest.mark.parametrize("kind", STYLES)
def test_a_picture_has_its_own_style(kind: str) -> None:
    torch.manual_seed(0)
    picture, other = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    one = perceptual(kind)
    assert one.style(one.maps(picture), one.style_of(picture)).item() == 0
    assert one.style(one.maps(other), one.style_of(picture)).item() > 1e-4


@pytest.mark.parametrize("kind", STYLES)
def test_style_does_not_ask_for_one_size(kind: str) -> None:
    """The same picture twice as large has the same style, but for what scaling does."""
    torch.manual_seed(0)
    small = torch.rand(1, 3, 4, 4)
    large = torch.nn.functional.interpolate(small, (8, 8), mode="nearest")
    one = Perceptual(look, (), ("one",), STYLES[kind])
    assert one.style(one.maps(large), one.style_of(small)).item() < 0.02


def test_where_style_has_no_place_it_may_move() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 8, 8)
    moved = picture.roll(2, dims=3)
    losses = {
        kind: one.style(one.maps(moved), one.style_of(picture)).item()
        for kind in STYLES
        for one in [perceptual(kind)]
    }
    assert losses["gram"] < 1e-10
    assert losses["statistics"] < 1e-10
    assert losses["maps"] > 0.01


def test_the_total_is_the_formula_term_by_term() -> None:
    torch.manual_seed(0)
    made, photo, painting = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), torch.rand(1, 3, 6, 6)
    one = perceptual()
    content, style = one.content_of(photo), one.style_of(painting)
    weights = StyleLossSettings(2.0, 30.0, 0.5).term_weights
    objective = make_objective(weights, LossContext(make_perceptual=lambda: one))
    losses = objective(Translation(photo, painting, made, None, None))
    maps = one.maps(made)
    assert {name: loss.item() for name, loss in losses.items()} == {
        "content": pytest.approx(2 * one.content(maps, content).item()),
        "style": pytest.approx(30 * one.style(maps, style).item()),
        "total_variation": pytest.approx(0.5 * variation(made).item()),
    }


def test_without_weight_nothing_is_looked_at() -> None:
    picture = torch.rand(1, 3, 4, 4)
    objective = make_objective(StyleLossSettings(lambda_tv=1.0).term_weights, LossContext())
    losses = objective(Translation(picture, picture, picture, None, None))
    assert list(losses) == ["total_variation"]


def test_pictures_that_stay_are_looked_at_once_for_all() -> None:
    looked = []

    def counted(images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        looked.append(images)
        return look(images, layers)

    photo, painting, made = torch.rand(3, 1, 3, 4, 4).unbind()
    seeing = Perceptual(counted, ("one",), ("two",), STYLES["gram"])
    keeping = seeing.keeping(content=[photo], style=[painting])
    assert len(looked) == 2
    weights = {"content": 1.0, "style": 1.0}
    known, plain = (
        make_objective(weights, LossContext(make_perceptual=lambda one=one: one))(
            Translation(photo, painting, made, None, None)
        )
        for one in (keeping, seeing)
    )
    assert len(looked) == 2 + 1 + 3
    assert all(torch.equal(known[name], plain[name]) for name in weights)


def test_targets_carry_no_graph_and_a_made_picture_does() -> None:
    one = perceptual()
    picture = torch.rand(1, 3, 4, 4, requires_grad=True)
    for kept in (one.content_of(picture), one.style_of(picture)):
        assert not any(values.requires_grad for values in kept.values())
    other = one.style_of(torch.rand(1, 3, 4, 4))
    one.style(one.maps(picture), other).backward()
    assert picture.grad is not None


def test_remembering_looks_once_at_what_is_asked_of_each_picture() -> None:
    looked = []

    def counted(images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        looked.append(images)
        return look(images, layers)

    one = Perceptual(counted, ("one",), ("two",), STYLES["gram"]).remembering({})
    first, second = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    plain = Perceptual(look, ("one",), ("two",), STYLES["gram"])
    for _ in range(2):
        assert torch.equal(
            one.style(one.maps(first), one.style_of(second)),
            plain.style(plain.maps(first), plain.style_of(second)),
        )
        one.content(one.maps(first), one.content_of(second))
    assert len(looked) == 3, "all layers of one, and each kind of the other"


def test_settings_build_what_looks(tmp_path: Path) -> None:
    device = torch.device("cpu")
    settings = PerceptualSettings(loss_features="plain", style_layers=("conv1", "conv3"))
    built = Perceptual.build(settings, device)
    assert built.content_layers == ("conv4",)
    assert built.style_layers == ("conv1", "conv3")
    assert set(built.maps(torch.rand(1, 3, 16, 16))) == {"conv1", "conv3", "conv4"}
    images = torch.rand(1, 3, 16, 16)
    bare = LAYERED["plain"](None)
    assert torch.equal(built.maps(images)["conv3"], bare(images, ["conv3"])["conv3"] * bare.scale)
    assert built.smallest == 8
    with pytest.raises(UsageError, match=r"--content_layers conv9: plain has no such layer"):
        Perceptual.build(
            PerceptualSettings(loss_features="plain", content_layers=("conv9",)), device
        )
