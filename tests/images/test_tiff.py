"""TIFF of every depth, sign and photometric interpretation is converted and trained on as it is."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cyclegan import images
from cyclegan.images import Encoding
from cyclegan.images.document import open_document, write_document
from cyclegan.images.picture import Picture

LEVELS = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535)}
SHARES = np.random.default_rng(0).random((12, 16, 3))
SHARES[0, 0], SHARES[0, 1] = 0, 1  # an int32 of less than 16 bits is taken for 16


def stored(type: str, photometric: str) -> np.ndarray:
    """The same picture in values of a type; in gray the first channel of it."""
    low, high = LEVELS.get(type, (-3, 9) if type.startswith("float") else (-30_000, 90_000))
    shares = SHARES if photometric == "rgb" else SHARES[:, :, 0]
    values = low + shares * (high - low)
    values = low + high - values if photometric == "miniswhite" else values
    return values.astype(type) if type.startswith("float") else values.round().astype(type)


def opened(path: Path, values: tuple[float, float] | None = None) -> Picture:
    (picture,) = open_document(path, values).pictures
    return picture


def trained_on(path: Path, channels: int, values: tuple[float, float] | None) -> np.ndarray:
    """(H, W, C) in [0, 1], by the way that training takes."""
    if images.is_deep(path, channels):
        return images.read_deep(path, channels, values).shares()
    pixels = np.asarray(images.read(path, channels)) / 255
    return pixels.reshape(*pixels.shape[:2], -1)


CASES = [
    *product(("miniswhite", "minisblack"), ("contig",)),
    *product(("rgb",), ("contig", "separate")),
]
PACKED = [(None, False), ("zlib", False), ("zlib", True), ("lzw", True)]


@pytest.mark.parametrize(("photometric", "planes"), CASES)
@pytest.mark.parametrize(
    "type", ["uint8", "int8", "uint16", "int32", "float16", "float32", "float64"]
)
def test_every_kind_of_pixels_is_the_same_picture(
    tmp_path: Path, type: str, photometric: str, planes: str
) -> None:
    pixels = stored(type, photometric)
    values = None if type in LEVELS else (-30_000, 90_000) if type == "int32" else (-3, 9)
    more = {"planarconfig": planes} if photometric == "rgb" else {}
    channels = 3 if photometric == "rgb" else 1
    for number, (compression, predictor) in enumerate(PACKED):
        if type == "float64" and predictor:
            continue  # which tifffile does not write
        path = tmp_path / f"{number}.tif"
        laid = np.moveaxis(pixels, -1, 0) if planes == "separate" else pixels
        how = {"compression": compression, "predictor": predictor, **more}
        tifffile.imwrite(path, laid, photometric=photometric, **how)
        near = 1e-2 if type == "float16" else 1 / 127
        assert np.abs(trained_on(path, channels, values) - SHARES[:, :, :channels]).max() < near
        picture = opened(path, values)
        assert np.abs(picture.shares() - SHARES[:, :, :channels]).max() < near
        if photometric != "miniswhite":
            assert picture.pixels.dtype == type
            assert (picture.pixels.squeeze() == pixels).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_depths_between_are_black_to_white(tmp_path: Path, bits: int, photometric: str) -> None:
    top = 2**bits - 1
    levels = (np.arange(64).reshape(8, 8) * top // 63).astype("uint16" if bits > 8 else "uint8")
    tifffile.imwrite(tmp_path / "x.tif", levels, photometric=photometric, bitspersample=bits)
    shares = levels / top if photometric == "minisblack" else 1 - levels / top
    assert np.abs(opened(tmp_path / "x.tif").shares()[:, :, 0] - shares).max() < 0.003
    assert np.abs(trained_on(tmp_path / "x.tif", 1, None)[:, :, 0] - shares).max() < 0.003


@pytest.mark.parametrize("hole", [np.nan, np.inf, -9999.0])
def test_pixels_without_a_value_stay_and_the_rest_is_seen(tmp_path: Path, hole: float) -> None:
    pixels = stored("float32", "minisblack")
    pixels[2:4, 3] = hole
    more = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(tmp_path / "x.tif", pixels, extratags=more)
    picture = opened(tmp_path / "x.tif", (-3, 9))
    seen = picture.window(0, 12, 0, 16)
    assert seen.isfinite().all()
    assert seen.abs().max() <= 1
    assert (images.read_deep(tmp_path / "x.tif", 1, (-3, 9)).shares() <= 1).all()
    made = np.zeros((12, 16, 1), np.float32)
    after = picture.repainted(made, picture.range).pixels[:, :, 0]
    assert np.array_equal(after[2:4, 3], pixels[2:4, 3], equal_nan=True)
    assert np.count_nonzero(after) == 2
    smaller = picture.scaled((8, 6)).repainted(made[:6, :8].copy(), picture.range).pixels
    assert picture.scaled((8, 6)).window(0, 6, 0, 8).isfinite().all()
    assert 0 < np.count_nonzero(smaller) <= 2


def test_no_data_in_every_pixel_stays(tmp_path: Path) -> None:
    pixels = np.full((8, 9), 7, np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, extratags=[(42113, "s", 0, "7", True)])
    picture = opened(tmp_path / "x.tif")
    made = picture.repainted(np.zeros((8, 9, 1), np.uint16), picture.range)
    assert (made.pixels == 7).all()


def test_inks_are_colours_with_all_bits(tmp_path: Path) -> None:
    shares = np.random.default_rng(1).random((8, 9, 4))
    for type in ("uint8", "uint16"):
        inks = (shares * np.iinfo(type).max).round().astype(type)
        tifffile.imwrite(tmp_path / f"{type}.tif", inks, photometric="separated")
    expected = (1 - shares[:, :, :3]) * (1 - shares[:, :, 3:])
    deep = opened(tmp_path / "uint16.tif")
    assert np.abs(deep.shares() - expected).max() < 1e-4
    assert np.abs(opened(tmp_path / "uint8.tif").shares() - expected).max() < 0.01


def test_colours_that_were_multiplied_by_their_opacity(tmp_path: Path) -> None:
    colours, opaque = SHARES * 0.5, 0.5
    premultiplied = np.concatenate([colours, np.full((12, 16, 1), opaque)], axis=2)
    for type in ("uint8", "uint16"):
        pixels = (premultiplied * np.iinfo(type).max).round().astype(type)
        more = {"photometric": "rgb", "extrasamples": ["assocalpha"]}
        tifffile.imwrite(tmp_path / f"{type}.tif", pixels, **more)
        found = opened(tmp_path / f"{type}.tif")
        assert np.abs(found.pixels / np.iinfo(type).max - SHARES).max() < 0.01


@pytest.mark.parametrize(
    ("photometric", "words"), [("cfa", "CFA"), ("cielab", "CIELAB"), ("logluv", "LOGLUV")]
)
def test_what_is_neither_gray_nor_colour_is_named(
    tmp_path: Path, photometric: str, words: str
) -> None:
    channels = () if photometric == "cfa" else (3,)
    pixels = np.ones((8, 9, *channels), np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric=photometric)
    with pytest.raises(images.UnreadableImageError, match=f"x.tif: its pixels are {words}: save"):
        opened(tmp_path / "x.tif")


def test_white_on_black_is_written_as_black_on_white(tmp_path: Path) -> None:
    """The same picture again, whatever reads it."""
    pixels = stored("uint16", "miniswhite")
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="miniswhite")
    document = open_document(tmp_path / "x.tif")
    write_document(tmp_path / "y.tif", document.pictures, document, Encoding())
    with Image.open(tmp_path / "y.tif") as made:
        assert (np.asarray(made) == 65535 - pixels).all()


def test_every_page_is_what_it_says(tmp_path: Path) -> None:
    """The first page is plain; those after it are not."""
    path = tmp_path / "pages.tif"
    deep = {name: stored(name, "miniswhite") for name in ("uint16", "int8", "uint8")}
    with tifffile.TiffWriter(path) as file:
        file.write(stored("uint8", "minisblack"), photometric="minisblack", metadata=None)
        for pixels in deep.values():
            file.write(pixels, photometric="miniswhite", metadata=None)
    for picture in open_document(path).pictures:
        assert np.abs(picture.shares()[:, :, 0] - SHARES[:, :, 0]).max() < 1 / 127


@pytest.mark.parametrize(("bits", "no_data"), [(12, 161), (4, 3)])
def test_no_data_of_fewer_bits_stays(tmp_path: Path, bits: int, no_data: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 2**bits, (12, 16)).astype(np.uint16)
    pixels[pixels == no_data] += 1
    pixels[2:4, 2:4] = no_data
    pixels = pixels.astype(np.uint8 if bits < 8 else np.uint16)
    path = tmp_path / "few.tif"
    tag = (42113, "s", 0, str(no_data), True)
    tifffile.imwrite(path, pixels, photometric="minisblack", bitspersample=bits, extratags=[tag])
    picture = opened(path)
    assert picture.unseen is not None
    assert picture.unseen.sum() == 4
    assert (picture.pixels[2:4, 2:4] == no_data).all()


def test_jpeg_in_a_tiff_with_no_data_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "jpeg.tif"
    pixels = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    tag = (42113, "s", 0, "0", True)
    tifffile.imwrite(path, pixels, photometric="rgb", compression="jpeg", extratags=[tag])
    assert np.abs(opened(path).pixels.astype(int) - pixels).max() <= 4


def test_texts_and_numbers_as_other_programs_write_them(tmp_path: Path) -> None:
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    words = "<GDALMetadata>café</GDALMetadata>".encode() + b"\0"
    tags = [(42112, "s", len(words), words, True), (282, "H", 1, 300, True)]
    tifffile.imwrite(path, stored("uint16", "minisblack"), extratags=tags, metadata=None)
    document = open_document(path)
    write_document(out, document.pictures, document, Encoding())
    with tifffile.TiffFile(out) as file:
        assert "café" in file.pages[0].tags[42112].value
