"""A fusion network comes back from its weights alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cyclegan.errors import UsageError
from cyclegan.features import LayeredName
from cyclegan.features.table import LAYERED
from cyclegan.recipes.fusion import FusionNetworkSettings
from cyclegan.recipes.fusion.network import fusion_network
from cyclegan.recipes.fusion.recipe import blueprint_of
from tests.feature_weights import save_vgg


@pytest.mark.parametrize("normalised", [False, True])
def test_vgg_comes_back_of_the_checkpoint_alone(tmp_path: Path, normalised: bool) -> None:
    file = save_vgg(tmp_path / "vgg.pth", 5, normalised=normalised)
    made, again = twins("vgg19", "relu3_1", file)
    assert torch.equal(again, made)


@pytest.mark.parametrize("name", ["plain", "efficientnet-lite0"])
def test_the_others_do_too(name: LayeredName) -> None:
    made, again = twins(name, "", None)
    assert torch.equal(again, made)


def twins(name: LayeredName, layer: str, file: Path | None) -> tuple[Tensor, Tensor]:
    """What a network makes of a picture, and what one makes that was built of its weights alone."""
    settings = FusionNetworkSettings("attention", layer, 4)
    made = fusion_network(LAYERED[name](file), settings, 3).eval()
    weights = made.state_dict()
    with torch.device("meta"):
        again = blueprint_of(settings, name, weights).build(3, 3, "none")
    again.to_empty(device="cpu").eval()
    again.load_state_dict(weights)
    image, style = torch.rand(2, 1, 3, 32, 32)
    return made(image, [style]), again(image, [style])


def test_an_unknown_layer_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="--fusion_layer conv9: plain has no such layer"):
        fusion_network(LAYERED["plain"](None), FusionNetworkSettings(fusion_layer="conv9"), 3)
