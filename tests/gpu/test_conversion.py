"""What a GPU converts is what the CPU converts, and nobody waits for it meanwhile."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import GOLDEN, smooth_image
from PIL import Image

from cyclegan.conversion import ConvertSettings, job
from cyclegan.conversion.blend import Blend
from cyclegan.conversion.job import convert
from cyclegan.conversion.network import paint_together
from cyclegan.conversion.translator import Translator
from cyclegan.features.table import FEATURES
from cyclegan.images.document import open_document

pytestmark = pytest.mark.usefixtures("cuda")
#: `waiting_raises` of conftest.
Block = Callable[[], AbstractContextManager[None]]
FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


@pytest.fixture
def whole_float32(whole_float32: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever conversion asks for."""
    monkeypatch.setattr(job, "tune", lambda device, *, same_size: None)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Of several sizes and depths, more than a batch of one of them."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(20):
        smooth_image(number, (64, 48)).save(root / f"{number:02}.png")
    for mode in ("L", "RGBA", "LA"):
        smooth_image(30, (33, 21), mode).save(root / f"{mode}.png")
    smooth_image(31, (3, 2)).save(root / "tiny.png")
    np.save(root / "deep.npy", np.asarray(smooth_image(32, (64, 48))).astype(np.uint16) * 257)
    return root


def levels(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path) / 257
    with Image.open(path) as image:
        return np.asarray(image).astype(float)


@pytest.mark.parametrize("more", [{}, {"strength": 0.5, "keep_luminance": True}, {"tile": "exact"}])
def test_a_gpu_converts_as_the_cpu_does(
    whole_float32: None, pictures: Path, tmp_path: Path, more: dict
) -> None:
    given = {"input": pictures, "weights": FILE, "precision": "fp32", "compile": "off", **more}
    for device in ("cpu", "cuda"):
        assert convert(ConvertSettings(output=tmp_path / device, device=device, **given)) == 0
    made = [
        path for path in sorted((tmp_path / "cpu").iterdir()) if path.suffix in (".png", ".npy")
    ]
    assert len(made) == 25
    for path in made:
        apart = np.abs(levels(path) - levels(tmp_path / "cuda" / path.name))
        assert apart.max() <= 1, path.name


def test_giving_a_gpu_pictures_does_not_wait_for_it(pictures: Path, waiting_raises: Block) -> None:
    translator = Translator.load(FILE, device="cuda")
    sources = [next(iter(open_document(pictures / f"{n:02}.png").pictures)) for n in range(8)]
    depths = [source.depth for source in sources]

    paint_together(sources, translator, Blend(), depths)  # kernels are loaded, memory is pinned
    with waiting_raises():
        begun = paint_together(sources, translator, Blend(), depths)
    assert begun is not None


def test_features_are_those_of_the_cpu() -> None:
    """With TensorFloat-32 on, as `tune` leaves it: they are computed without."""
    images = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = FEATURES["efficientnet-lite0"](None)(images)
    network = FEATURES["efficientnet-lite0"](None).on(torch.device("cuda"))
    torch.backends.cudnn.allow_tf32 = True
    seen = network(images)
    assert torch.backends.cudnn.allow_tf32
    assert torch.allclose(seen.vectors, expected.vectors, atol=1e-3)
    assert [each.device.type for each in seen.maps] == ["cuda"] * 3
