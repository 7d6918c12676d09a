"""Colours of more, or of other things, than a screen has are seen as what they are."""

import io
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN, smooth_image
from PIL import Image, ImageCms

from cyclegan import images
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.job import convert
from cyclegan.images.document import open_document

MODEL = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


def tagged(signature: bytes, tags: dict[bytes, bytes], space: bytes, kind: bytes) -> bytes:
    """An ICC profile of version 2 (ICC.1:2001-04, sections 6.1 and 6.2)."""
    white = struct.pack(">3i", *(round(part * 65536) for part in (0.9642, 1.0, 0.8249)))
    start = 128 + 4 + 12 * len(tags)
    table, data = b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(data), signature, 0x02100000, kind, space,
                       b"Lab " if kind == b"prtr" else b"XYZ ")  # fmt: skip
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + white
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def place(*xyz: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(part * 65536) for part in xyz))


@cache
def wide() -> bytes:
    """Adobe RGB: gamma 2.2, a green beyond that of screens."""
    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.19921875 * 256))
    tags = {
        b"rXYZ": place(0.60974, 0.31111, 0.01947),
        b"gXYZ": place(0.20528, 0.62567, 0.06087),
        b"bXYZ": place(0.14919, 0.06322, 0.74457),
        b"wtpt": place(0.9642, 1.0, 0.8249),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma),
    }
    return tagged(b"lcms", tags, b"RGB ", b"mntr")


@cache
def inks() -> bytes:
    """Inks that are paler than they say: lightness falls by half of all ink together."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 3)] * 4, indexing="ij"), -1).reshape(-1, 4)
    lightness = 1 - grid.mean(1) / 2
    cells = np.column_stack([lightness * 255, np.full((81, 2), 128)]).round().astype(np.uint8)
    line = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 3, 0]) + matrix + line * 4 + cells.tobytes() + line * 3
    return tagged(b"lcms", {b"A2B0": table, b"wtpt": place(0.9642, 1.0, 0.8249)}, b"CMYK", b"prtr")


def expected(image: Image.Image, profile: bytes) -> np.ndarray:
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    screen = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, given, screen, outputMode="RGB"), int)


@pytest.mark.parametrize(("mode", "ending"), [("RGB", "png"), ("RGB", "jpg"), ("CMYK", "tif")])
def test_training_and_conversion_see_the_same_colours(
    tmp_path: Path, mode: str, ending: str
) -> None:
    profile = wide() if mode == "RGB" else inks()
    path = tmp_path / f"x.{ending}"
    smooth_image(1).convert(mode).save(path, icc_profile=profile)
    with Image.open(path) as stored:
        right = expected(stored, profile)
        plain = np.asarray(stored.convert("RGB"), int)
    assert np.abs(plain - right).mean() > 3
    trained = np.asarray(images.read(path, 3), int)
    assert np.abs(trained - right).max() <= 1
    (picture,) = open_document(path).pictures
    assert (picture.pixels == trained).all()


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_with_transparency_or_a_palette(tmp_path: Path, mode: str) -> None:
    smooth_image(1).convert(mode).save(tmp_path / "x.png", icc_profile=wide())
    trained = np.asarray(images.read(tmp_path / "x.png", 3))
    (picture,) = open_document(tmp_path / "x.png").pictures
    assert (picture.pixels == trained).all()
    with Image.open(tmp_path / "x.png") as stored:
        assert np.abs(trained - np.asarray(stored.convert("RGB"), int)).mean() > 3


def test_what_comes_out_is_in_the_colours_of_the_file(tmp_path: Path) -> None:
    """Those that a screen can't show, too, where nothing of the conversion is taken over."""
    source = smooth_image(1)
    source.save(tmp_path / "x.png", icc_profile=wide())
    made = {}
    for strength in (0.0, 1.0):
        output = tmp_path / str(strength)
        asked = {"weights": MODEL, "precision": "fp32", "compile": "off", "strength": strength}
        assert convert(ConvertSettings(tmp_path / "x.png", output, **asked)) == 0
        with Image.open(output / "x.png") as image:
            assert image.info["icc_profile"] == wide()
            made[strength] = image.copy()
    assert (np.asarray(made[0.0]) == np.asarray(source)).all()
    screen = tmp_path / "screen.png"
    Image.fromarray(expected(source, wide()).astype(np.uint8)).save(screen)
    asked = {"weights": MODEL, "precision": "fp32", "compile": "off"}
    assert convert(ConvertSettings(screen, tmp_path / "plain", **asked)) == 0
    wanted = np.asarray(Image.open(tmp_path / "plain" / "screen.png"), int)
    assert np.abs(expected(made[1.0], wide()) - wanted).mean() < 4


@pytest.mark.parametrize("profile", [b"no profile", b""])
def test_a_damaged_profile_is_none(tmp_path: Path, profile: bytes) -> None:
    source = smooth_image(1)
    source.save(tmp_path / "x.png", icc_profile=profile)
    assert (np.asarray(images.read(tmp_path / "x.png", 3)) == np.asarray(source)).all()
