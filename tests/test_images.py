"""Files become tensors and back, whatever is in them."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_image
from PIL import Image

from cyclegan import images
from cyclegan.errors import UserError
from cyclegan.images.formats import WRITABLE


def gray_ramp() -> np.ndarray:
    return np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.webp", "turned.tif"])
def test_sizes_are_those_of_upright_pictures(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth_image(1, (12, 6)).save(tmp_path / name, exif=exif)
    assert images.size(tmp_path / name) == images.read(tmp_path / name, 3).size == (6, 12)


def test_a_format_that_cannot_hold_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="17000x8 is more than WEBP can hold"):
        images.write(Image.new("RGB", (17000, 8)), tmp_path / "x.webp")
    assert list(tmp_path.iterdir()) == []


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = smooth_image(1, (12, 6))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / "turned.jpg", exif=exif, quality=100, subsampling=0)
    read = images.read(tmp_path / "turned.jpg", 3)
    assert read.size == (6, 12) == images.size(tmp_path / "turned.jpg")
    upright = np.asarray(image.rotate(-90, expand=True), dtype=int)
    assert np.abs(np.asarray(read, dtype=int) - upright).mean() < 3


def test_palette_keeps_its_colours(tmp_path: Path) -> None:
    image = smooth_image(2).quantize(16)
    image.save(tmp_path / "palette.png")
    assert (np.asarray(images.read(tmp_path / "palette.png", 3)) == image.convert("RGB")).all()


def test_cmyk_keeps_its_colours(tmp_path: Path) -> None:
    image = smooth_image(3)
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    read = np.asarray(images.read(tmp_path / "cmyk.jpg", 3), dtype=int)
    assert np.abs(read - np.asarray(image, dtype=int)).mean() < 4


@pytest.mark.parametrize("mode", ["L", "1"])
def test_gray_becomes_three_equal_channels(tmp_path: Path, mode: str) -> None:
    smooth_image(4).convert(mode).save(tmp_path / "gray.png")
    read = np.asarray(images.read(tmp_path / "gray.png", 3))
    assert read.shape[2] == 3
    assert (read == read[:, :, :1]).all()
    assert read.max() > 128


def test_colour_becomes_one_channel(tmp_path: Path) -> None:
    smooth_image(5).save(tmp_path / "colour.png")
    read = images.read(tmp_path / "colour.png", 1)
    assert read.mode == "L"
    assert images.to_tensor(read).shape == (1, 36, 40)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)  # black, invisible
    pixels[0, 0] = (200, 10, 10, 255)
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    read = np.asarray(images.read(tmp_path / "alpha.png", 3))
    assert read[0, 0].tolist() == [200, 10, 10]
    assert read[1, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path, name: str) -> None:
    deep = gray_ramp().astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / name)
    assert (np.asarray(images.read(tmp_path / name, 1)) == gray_ramp()).all()


def test_tensor_and_back_is_exact() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    tensor = images.to_tensor(levels)
    assert tensor.min() == -1
    assert tensor.max() == 1
    assert (np.asarray(images.to_image(tensor)) == levels).all()


def test_values_are_rounded_and_kept_in_range() -> None:
    values = torch.tensor([[[-1.5, 10.6 / 127.5 - 1, 1.5]]])
    assert np.asarray(images.to_image(values)).tolist() == [[0, 11, 255]]


@pytest.mark.parametrize("suffix", sorted(WRITABLE - {".npy", ".gif"}))
def test_writing_leaves_only_the_whole_file(tmp_path: Path, suffix: str) -> None:
    image = smooth_image(6)
    images.write(image, tmp_path / "new" / f"x{suffix}")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"x{suffix}"]
    read = np.asarray(images.read(tmp_path / "new" / f"x{suffix}", 3), dtype=int)
    assert np.abs(read - np.asarray(image, dtype=int)).mean() < 4


def truncated(path: Path) -> None:
    smooth_image(7, (200, 200)).save(path)
    path.write_bytes(path.read_bytes()[:-300])


def empty(path: Path) -> None:
    path.touch()


def no_image(path: Path) -> None:
    path.write_text("a shopping list")


def bomb(path: Path) -> None:
    """A PNG of 30,000 x 30,000 pixels in a few bytes."""
    header = (30000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += len(body).to_bytes(4, "big") + kind + body
        data += zlib.crc32(kind + body).to_bytes(4, "big")
    path.write_bytes(data)


def float_pixels(path: Path) -> None:
    Image.fromarray(np.ones((4, 4), dtype=np.float32) * 7).save(path, format="TIFF")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (truncated, "damaged"),
        (empty, "empty file"),
        (no_image, "not an image"),
        (bomb, "decompression bomb"),
        (float_pixels, "32-bit float"),
    ],
)
def test_unreadable_files_say_which_and_why(tmp_path: Path, make: object, reason: str) -> None:
    path = tmp_path / "bad.png"
    make(path)
    with pytest.raises(images.UnreadableImageError, match=reason) as error:
        images.read(path, 3)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(images.UnreadableImageError, match="no such file"):
        images.read(tmp_path / "none.png", 3)


def detailed(size: tuple[int, int]) -> Image.Image:
    """A picture with structure at every scale, as photographs have."""
    random = np.random.default_rng(0)
    total = np.zeros((size[1], size[0], 3))
    for level in range(1, 9):
        coarse = random.normal(0, 40 / level, (2**level, 2**level, 3)).clip(-127, 127) + 128
        layer = Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        total += np.asarray(layer).astype(float) - 128
    return Image.fromarray((total + 128).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("turned", [False, True])
def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same(tmp_path: Path, turned: bool) -> None:
    """Within 2 of 255 levels on average of decoding it whole, once both are scaled."""
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    detailed((4000, 3000)).save(tmp_path / "x.jpg", quality=92, exif=exif)
    asked: list[tuple[int, int]] = []

    def enough(size: tuple[int, int]) -> tuple[int, int]:
        asked.append(size)
        return (286, 286)

    whole, smaller = images.read(tmp_path / "x.jpg", 3), images.read(tmp_path / "x.jpg", 3, enough)
    assert asked == [whole.size]
    assert whole.size == ((3000, 4000) if turned else (4000, 3000))
    assert smaller.size == ((375, 500) if turned else (500, 375))
    scaled = [
        np.asarray(image.resize((286, 286), Image.Resampling.BICUBIC)).astype(int)
        for image in (whole, smaller)
    ]
    assert 0 < np.abs(scaled[0] - scaled[1]).mean() < 1


@pytest.mark.parametrize(
    ("name", "needed", "size"),
    [
        ("x.jpg", (286, 286), (500, 400)),
        ("x.jpg", (500, 400), (500, 400)),
        ("x.jpg", (200, 160), (250, 200)),
        ("x.jpg", (202, 130), (500, 400)),
        ("x.png", (20, 20), (500, 400)),
    ],
)
def test_only_what_has_many_times_the_pixels_is_decoded_smaller(
    tmp_path: Path, name: str, needed: tuple[int, int], size: tuple[int, int]
) -> None:
    smooth_image(1, (500, 400)).save(tmp_path / name)
    assert images.read(tmp_path / name, 3, lambda _: needed).size == size
