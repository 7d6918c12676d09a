"""Networks with layers: the right maps, gradients to the images only, errors that help."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import smooth_image
from feature_weights import save_vgg
from torchvision.models import VGG19_Weights, vgg

from cyclegan import images
from cyclegan.errors import UsageError, UserError
from cyclegan.features.layered import WIDTHS, LayeredNetwork
from cyclegan.features.table import FEATURES, LAYERED, layered_network
from cyclegan.features.vgg import URL, vgg19


def photograph(seed: int = 1, size: tuple[int, int] = (40, 36)) -> torch.Tensor:
    return images.to_tensor(smooth_image(seed, size))[None]


@pytest.fixture(params=[*LAYERED, "normalised"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> LayeredNetwork:
    if request.param in ("vgg19", "normalised"):
        return vgg19(save_vgg(tmp_path / "v.pth", normalised=request.param == "normalised"))
    return LAYERED[request.param](None)


def test_it_is_torchvision_s_own_forward(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = vgg.make_layers(vgg.cfgs["E"], batch_norm=False).eval()
    torch.save({f"features.{name}": w for name, w in theirs.state_dict().items()}, tmp_path / "v")
    network = vgg19(tmp_path / "v")
    assert network.layers[0] == "relu1_1"
    assert network.layers[-1] == "relu5_4"
    assert len(network.layers) == 16
    assert network.content == ("relu4_2",)
    assert network.style == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    photo = photograph()
    assert VGG19_Weights.IMAGENET1K_V1.url == URL
    prepare = VGG19_Weights.IMAGENET1K_V1.transforms()
    mean, deviation = torch.tensor(prepare.mean), torch.tensor(prepare.std)
    x = ((photo + 1) / 2 - mean.view(-1, 1, 1)) / deviation.view(-1, 1, 1)
    maps = network(photo, ("relu5_1", "relu1_1", "relu4_2"))
    assert list(maps) == ["relu5_1", "relu1_1", "relu4_2"]
    with torch.no_grad():
        for number, name in {1: "relu1_1", 22: "relu4_2", 29: "relu5_1"}.items():
            assert torch.allclose(maps[name], theirs[: number + 1](x), atol=1e-5), name


@pytest.mark.parametrize(("name", "imported"), [("vgg19", True), ("efficientnet-lite0", False)])
def test_torchvision_is_imported_where_it_is_used(
    name: str, imported: bool, tmp_path: Path
) -> None:
    """It takes a second, which nothing else should wait for."""
    given = f"Path({str(save_vgg(tmp_path / 'v.pth'))!r})" if imported else "None"
    code = (
        "import sys; from pathlib import Path; from cyclegan.features.table import layered_network;"
        f"before = 'torchvision' in sys.modules; layered_network({name!r}, {given});"
        "print(before, 'torchvision' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", str(imported)]


def test_normalised_files_are_read_too(tmp_path: Path) -> None:
    path = save_vgg(tmp_path / "n.pth", normalised=True)
    state, photo = torch.load(path, weights_only=True), photograph()
    network = vgg19(path)
    assert network.layers == ("relu1_1", "relu1_2", "relu2_1")
    assert network.content == ("relu2_1",)
    assert network.style == ("relu1_1", "relu2_1")

    def convolved(x: torch.Tensor, number: int) -> torch.Tensor:
        x = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
        weight, bias = state[f"{number}.weight"], state[f"{number}.bias"]
        return torch.nn.functional.conv2d(x, weight, bias).relu()

    x = torch.nn.functional.conv2d((photo + 1) / 2, state["0.weight"], state["0.bias"])
    x = convolved(convolved(x, 2), 5)
    x = convolved(torch.nn.functional.max_pool2d(x, 2), 9)
    assert torch.allclose(network(photo, ["relu2_1"])["relu2_1"], x, atol=1e-4)


def test_the_plain_one_is_five_convolutions_with_pooling_between() -> None:
    network = LAYERED["plain"](None)
    maps = network(photograph(size=(48, 32)), network.layers)
    sizes = [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert [tuple(one.shape[1:]) for one in maps.values()] == [
        (width, *size) for width, size in zip(WIDTHS, sizes, strict=True)
    ]
    again = LAYERED["plain"](None)(photograph(size=(48, 32)), ["conv5"])["conv5"]
    assert torch.equal(again, maps["conv5"]), "random weights are the same everywhere"
    for one in maps.values():
        assert 0.1 < one.mean() < 10, "values neither vanish nor grow"


def test_the_plain_one_takes_given_weights(tmp_path: Path) -> None:
    shapes = zip((3, *WIDTHS), WIDTHS, strict=False)
    state = {}
    for number, (seen, made) in enumerate(shapes):
        state |= {
            f"{number}.weight": torch.ones(made, seen, 3, 3),
            f"{number}.bias": torch.ones(made),
        }
    torch.save(state, tmp_path / "ones.pth")
    network = LAYERED["plain"](tmp_path / "ones.pth")
    assert network.origin == str(tmp_path / "ones.pth")
    middle = network(torch.ones(1, 3, 8, 8), ["conv1"])["conv1"][0, :, 4, 4]
    assert torch.equal(middle, torch.full((64,), 3 * 9 + 1.0))


def test_gradients_go_to_the_images_and_to_no_weights(network: LayeredNetwork) -> None:
    photo = photograph().requires_grad_()
    maps = network(photo, network.layers)
    torch.stack([one.square().mean() for one in maps.values()]).sum().backward()
    assert photo.grad is not None
    assert photo.grad.abs().sum() > 0
    for stage in network.stages:
        assert not stage.module.training
        for weights in stage.module.parameters():
            assert not weights.requires_grad
            assert weights.grad is None


def test_only_what_is_asked_for_is_computed(network: LayeredNetwork) -> None:
    maps = network(photograph(), network.layers[:2])
    assert tuple(maps) == network.layers[:2]
    computed = []
    network.stages[2].module.register_forward_hook(lambda *unused: computed.append(True))
    network(photograph(), network.layers[:2])
    assert not computed


@pytest.mark.parametrize("side", [1, 2, 8, 17, 64])
def test_the_smallest_image_of_each_layer(network: LayeredNetwork, side: int) -> None:
    """What is too small is said; what is not works."""
    image = torch.zeros(1, 3, side, side + 3)
    for name in network.layers:
        if side >= network.smallest([name]):
            assert min(network(image, [name])[name].shape) >= 1
        else:
            with pytest.raises(UserError, match=rf"too small for layer {name} of {network.name}"):
                network(image, [name])


def test_the_same_under_autocast_and_for_gray(network: LayeredNetwork) -> None:
    gray, last = photograph()[:, :1], network.layers[-1]
    expected = network(gray.expand(-1, 3, -1, -1), [last])[last]
    with torch.autocast("cpu", torch.bfloat16):
        found = network(gray.bfloat16().float(), [last])[last]
    assert found.dtype == torch.float32
    assert torch.allclose(found, network(gray.bfloat16().float(), [last])[last])
    assert torch.equal(network(gray, [last])[last], expected)


def test_an_unknown_layer_names_the_nearest(network: LayeredNetwork) -> None:
    first = network.layers[0]
    with pytest.raises(UsageError) as error:
        network.chosen([first, f"{first}x"], "style_layers")
    assert f"--style_layers {first}x: {network.name} has no such layer" in str(error.value)
    assert f"perhaps you meant {first}" in str(error.value)
    assert network.layers[-1] in str(error.value)
    assert "\n" not in str(error.value)


def test_the_metrics_see_the_same_network(tmp_path: Path) -> None:
    path = save_vgg(tmp_path / "vgg.pth")
    network = FEATURES["vgg19"](path)
    assert network.origin == str(path)
    seen = network(torch.cat([photograph(1), photograph(1), photograph(2)]))
    assert seen.vectors.shape == (3, 128)
    assert torch.allclose(seen.vectors[0], seen.vectors[1], atol=1e-5)
    assert not torch.allclose(seen.vectors[0], seen.vectors[2], atol=1e-2)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "plain"])
def test_losses_weigh_about_the_same_through_any_network(name: str) -> None:
    """As through the normalised VGG-19, whose maps have a root mean square of 2."""
    network = LAYERED[name](None)
    pictures = torch.cat([photograph(seed, (96, 96)) for seed in range(4)])
    for layer, maps in network(pictures, network.style + network.content).items():
        assert 1 < network.scale * maps.square().mean().sqrt() < 4, layer


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "plain"])
def test_a_layer_has_as_many_maps_as_it_says(name: str) -> None:
    network = LAYERED[name](None)
    for layer, maps in network(photograph(1, (64, 64)), network.layers).items():
        assert maps.shape[1] == network.channels(layer)


def test_files_that_end_elsewhere_are_foreign(tmp_path: Path) -> None:
    wrong = {"0.weight": torch.zeros(64, 3, 5, 5), "0.bias": torch.zeros(64)}
    torch.save(wrong, tmp_path / "wrong.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "bare.pth")
    for name in ("wrong", "list", "bare"):
        with pytest.raises(UserError, match=rf"{name}\.pth: not the weights of vgg19"):
            layered_network("vgg19", tmp_path / f"{name}.pth")
    with pytest.raises(UserError, match=r"none\.pth: no such file"):
        layered_network("vgg19", tmp_path / "none.pth")
