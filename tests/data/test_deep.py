"""Files that hold more than 8 bits, or other channels than colours, are trained on as they are."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from conftest import smooth_image
from PIL import Image

from cyclegan import Translator, assemble, images
from cyclegan.cli import run as command
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.job import convert
from cyclegan.data import DataSettings
from cyclegan.data.augment import Augmentation
from cyclegan.data.preprocess import CenterCrop
from cyclegan.data.unpaired import Domain
from cyclegan.settings import from_table


def loaded(path: Path, channels: int, **more: object) -> torch.Tensor:
    values = more.pop("values", None)
    settings = DataSettings(preprocess="none", flip=False, **more)
    return Domain("A", [path], channels, Augmentation(settings, channels), values=values).load(0, 1)


def test_sixteen_bits_reach_the_network(tmp_path: Path) -> None:
    pixels = (np.arange(20 * 24 * 3).reshape(20, 24, 3) + 30_000).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb")
    image = loaded(tmp_path / "x.tif", 3).image
    assert len(image.unique()) == pixels.size, "8 bits would leave a few levels"
    expected = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / 32767.5 - 1
    assert torch.allclose(image, expected, atol=1e-6)


def test_the_same_picture_in_eight_and_sixteen_bits_is_the_same(tmp_path: Path) -> None:
    """Scaled too: 8-bit pictures are rounded twice on the way."""
    image = smooth_image(2, (90, 70))
    image.save(tmp_path / "x.png")
    deep = np.asarray(image).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb")
    both = [CenterCrop(32, 3).of(tmp_path / name) for name in ("x.png", "x.tif")]
    assert (both[0] - both[1]).abs().max() < 1.5 / 127.5
    augmentation = Augmentation(DataSettings(load_size=40, crop_size=32), 3)
    both = [
        Domain("A", [tmp_path / name], 3, augmentation).load(0, 7).image
        for name in ("x.png", "x.tif")
    ]
    assert (both[0] - both[1]).abs().max() < 1.5 / 127.5


def test_values_without_a_range_are_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.linspace(-1000, 2000, 480, dtype=np.float32).reshape(20, 24))
    with pytest.raises(images.UnreadableImageError, match="--range LOW HIGH"):
        CenterCrop(16, 1).of(tmp_path / "x.npy")
    image = loaded(tmp_path / "x.npy", 1, values=(-1000.0, 1000.0)).image
    assert image.min() == -1
    assert image.max() == 1, "what is beyond is cut"


def test_transparency_is_laid_on_white_with_all_bits(tmp_path: Path) -> None:
    pixels = np.full((20, 24, 4), 20_000, np.uint16)
    pixels[:10, :, 3], pixels[10:, :, 3] = 0, 65_535
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    image = loaded(tmp_path / "x.tif", 3).image
    assert (image[:, :10] == 1).all()
    assert torch.allclose(image[:, 10:], torch.tensor(20_000 / 32767.5 - 1), atol=1e-6)


@pytest.mark.parametrize(("ending", "channels"), [("npy", 5), ("tif", 5), ("tif", 4), ("npy", 2)])
def test_a_run_on_many_channels(
    tiny: dict, tmp_path: Path, ending: str, channels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained, shown, evaluated while training, converted: by the same reading."""
    drawn = np.random.default_rng(0)
    for folder in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "deep" / folder).mkdir(parents=True)
        for number in range(3):
            pixels = drawn.integers(0, 60_000, (36, 40, channels), np.uint16)
            path = tmp_path / "deep" / folder / f"{number}.{ending}"
            if ending == "npy":
                np.save(path, pixels)
            else:
                tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    assert command(["data", "check", str(tmp_path / "deep")]) == 0
    assert "40x36" in capsys.readouterr().out
    tiny["data"] |= {"dataroot": str(tmp_path / "deep")}
    tiny["networks"] = {"input_nc": channels, "output_nc": channels}
    tiny["loggers"] = {"display_freq": 1, "visdom": False}
    settings = from_table(tiny, "x")
    assemble.train(settings)
    grids = list((settings.run.folder / "pictures").rglob("*.png"))
    assert grids
    with Image.open(grids[0]) as grid:
        assert grid.mode in ("L", "RGB")
    source = tmp_path / "deep" / "testA"
    asked = {"name": settings.run.name, "checkpoints_dir": settings.run.checkpoints_dir}
    assert convert(ConvertSettings(source, tmp_path / "out", **asked)) == 0
    assert Translator.load(settings.run.folder).generator.architecture.input_nc == channels
    read = np.load if ending == "npy" else tifffile.imread
    made = read(tmp_path / "out" / f"0.{ending}")
    assert (made.shape, made.dtype) == ((36, 40, channels), np.uint16)


def test_the_run_knows_the_range(tiny: dict, tmp_path: Path) -> None:
    for folder in ("trainA", "trainB"):
        (tmp_path / "deep" / folder).mkdir(parents=True)
        np.save(tmp_path / "deep" / folder / "x.npy", np.float32(np.random.rand(36, 40) * 900))
    tiny["data"] |= {"dataroot": str(tmp_path / "deep"), "range": [0.0, 900.0]}
    tiny["networks"] = {"input_nc": 1, "output_nc": 1}
    settings = from_table(tiny, "x")
    assemble.train(settings)
    asked = {"name": settings.run.name, "checkpoints_dir": settings.run.checkpoints_dir}
    source = tmp_path / "deep" / "trainA"
    assert convert(ConvertSettings(source, tmp_path / "out", **asked)) == 0
    made = np.load(tmp_path / "out" / "x.npy")
    assert made.dtype == np.float32
    assert 100 < made.mean() < 800
