"""What a file carries beside its pixels comes out again, as far as it is still true."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from conftest import GOLDEN, smooth_image
from PIL import Image, PngImagePlugin

from cyclegan import images
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.job import convert

MODEL = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
HALVES = (slice(0, 10), slice(10, 20))
DRAWN = np.random.default_rng(0)


def through(source: Path, **more: object) -> Path:
    """Convert one file; return what comes out."""
    output = source.parent / "out"
    settings = {"weights": MODEL, "precision": "fp32", "compile": "off", "overwrite": True, **more}
    assert convert(ConvertSettings(source, output, **settings)) == 0
    return next(path for path in output.iterdir() if path.stem == source.stem)


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_colours_that_hide_stay_as_they_are(tmp_path: Path, ending: str, strength: float) -> None:
    """Packed textures keep another picture under full transparency."""
    pixels = np.dstack([np.asarray(smooth_image(1, (24, 20))), np.full((20, 24), 255, np.uint8)])
    pixels[:10, :, 3] = 0
    how = {"lossless": True, "exact": True} if ending == "webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"x.{ending}", **how)
    made = np.asarray(Image.open(through(tmp_path / f"x.{ending}", strength=strength)))
    near = 12 if ending == "webp" else 0
    hidden, shown = (np.abs(made[rows].astype(int) - pixels[rows]).mean() for rows in HALVES)
    assert hidden <= near
    assert shown > 20 if strength else shown <= near


def test_a_picture_that_hides_wholly_comes_out_whole(tmp_path: Path) -> None:
    pixels = DRAWN.integers(0, 256, (20, 24, 4), np.uint8)
    pixels[:, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert (np.asarray(Image.open(through(tmp_path / "x.png"))) == pixels).all()
    trained = np.asarray(images.read(tmp_path / "x.png", 3))
    assert (trained == 255).all(), "it is white to a generator, as ever"


GEO = {
    33550: ("d", 3, (10.0, 10.0, 0.0)),
    33922: ("d", 6, (0.0, 0.0, 0.0, 500000.0, 4600000.0, 0.0)),
    34735: ("H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633)),
    34736: ("d", 1, (298.257,)),
    34737: ("s", 0, "WGS 84 / UTM|"),
    42112: ("s", 0, "<GDALMetadata/>"),
    42113: ("s", 0, "-9999"),
}


@pytest.mark.parametrize("type", ["uint8", "uint16", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_place_on_earth(tmp_path: Path, type: str, channels: int) -> None:
    shape = (20, 24, 3) if channels == 3 else (20, 24)
    pixels = DRAWN.integers(0, 200, shape).astype(type)
    more = [(code, *tag, True) for code, tag in GEO.items()]
    tifffile.imwrite(
        tmp_path / "x.tif", pixels, photometric="rgb" if channels == 3 else "minisblack",
        extratags=more, resolution=(50, 40), resolutionunit="centimeter",
    )  # fmt: skip
    values = {"range": (0.0, 255.0)} if type == "float64" else {}
    with tifffile.TiffFile(through(tmp_path / "x.tif", **values)) as made:
        tags = made.pages[0].tags
        before = tifffile.TiffFile(tmp_path / "x.tif").pages[0].tags
        for code in (*GEO, 282, 283, 296):
            assert tags.valueof(code) == before.valueof(code), code
            assert tags[code].dtype == before[code].dtype, code
    with tifffile.TiffFile(through(tmp_path / "x.tif", load_size=10, **values)) as made:
        kept = set(made.pages[0].tags.keys()) & set(GEO)
        assert kept == {42112, 42113}, "pixels of another size lie elsewhere"


def test_a_resolution_without_a_unit(tmp_path: Path) -> None:
    pixels = np.asarray(smooth_image(1, (24, 20)))
    more = {"resolution": (3, 2), "resolutionunit": "none"}
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", **more)
    with tifffile.TiffFile(through(tmp_path / "x.tif")) as made:
        tags = made.pages[0].tags
        assert [tags.valueof(code) for code in (282, 283, 296)] == [(3, 1), (2, 1), 1]


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_descriptions_of_the_layout_stay_where_they_are_true(tmp_path: Path, kind: str) -> None:
    pixels = DRAWN.integers(0, 60_000, (3, 20, 24), np.uint16)
    name = "x.ome.tif" if kind == "ome" else "x.tif"
    metadata = {"axes": "ZYX"} | ({"Name": "5 µm"} if kind == "ome" else {})
    more = {"imagej": True} if kind == "imagej" else {"ome": True}
    tifffile.imwrite(tmp_path / name, pixels, metadata=metadata, photometric="minisblack", **more)
    gray = tmp_path / "gray.pth"
    import torch

    from cyclegan.generators import ResnetSettings

    torch.manual_seed(0)
    torch.save(ResnetSettings(ngf=2, n_blocks=1).build(1, 1, "instance").state_dict(), gray)
    with tifffile.TiffFile(through(tmp_path / name, weights=gray)) as made:
        assert made.is_imagej if kind == "imagej" else made.is_ome
        with tifffile.TiffFile(tmp_path / name) as before:
            for page, expected in zip(made.pages, before.pages, strict=True):
                assert page.description == expected.description
        assert made.asarray().shape == (3, 20, 24)
    with tifffile.TiffFile(through(tmp_path / name, weights=gray, load_size=10)) as made:
        assert not made.is_imagej
        assert not made.is_ome
        assert len(made.pages) == 3


@pytest.mark.parametrize("sixteen", [False, True])
def test_long_texts_in_a_png(tmp_path: Path, sixteen: bool) -> None:
    path = tmp_path / "x.png"
    if sixteen:
        pixels = DRAWN.integers(0, 60_000, (20, 24, 3), np.uint16)
        plain = cv2.imencode(".png", pixels)[1].tobytes()
        text = b"zTXtkey\0\0" + zlib.compress(b"a" * 3_000_000)
        check = struct.pack(">I", zlib.crc32(text))
        chunk = struct.pack(">I", len(text) - 4) + text + check
        path.write_bytes(plain[:33] + chunk + plain[33:])
    else:
        about = PngImagePlugin.PngInfo()
        about.add_text("prompt", "a" * 3_000_000, zip=True)
        smooth_image(1).save(path, pnginfo=about)
    assert images.is_deep(path, 3) == sixteen
    assert images.size(through(path)) == images.size(path)


def noisy(folder: Path) -> None:
    """Files that libraries complain of, each in its own way."""
    folder.mkdir()
    tifffile.imwrite(folder / "lzw.tif", np.zeros((99, 99, 3), np.uint8), compression="lzw")
    damaged = bytearray((folder / "lzw.tif").read_bytes())
    damaged[300:400] = bytes(range(100, 200))
    (folder / "lzw.tif").write_bytes(damaged)
    tifffile.imwrite(folder / "cut.tif", np.zeros((99, 99, 3), np.uint16), photometric="rgb")
    (folder / "cut.tif").write_bytes((folder / "cut.tif").read_bytes()[:200])
    exif = Image.Exif()
    exif[271] = "Maker"
    smooth_image(1).save(folder / "exif.jpg", exif=exif.tobytes()[:-9])
    plain = cv2.imencode(".png", DRAWN.integers(0, 60_000, (20, 24, 3), np.uint16))[1].tobytes()
    profile = b"iCCPx\0\0" + zlib.compress(b"no profile")
    check = struct.pack(">I", zlib.crc32(profile))
    chunk = struct.pack(">I", len(profile) - 4) + profile + check
    (folder / "profile.png").write_bytes(plain[:33] + chunk + plain[33:])
    place = plain.index(b"IDAT") + 99
    (folder / "crc.png").write_bytes(plain[:place] + b"\0\1" + plain[place + 2 :])
    (folder / "short.png").write_bytes(plain[: len(plain) // 2])


def test_libraries_do_not_speak_to_the_terminal(tmp_path: Path) -> None:
    noisy(tmp_path / "in")
    look = (
        "import sys; from pathlib import Path; from cyclegan import images\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        (images.read_deep if images.is_deep(path, 3) else images.read)(path, 3, None)\n"
        "        print(path.name, 'read')\n"
        "    except images.UnreadableImageError as error: print(error)\n"
    )
    command = [sys.executable, "-c", look, str(tmp_path / "in")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert all("damaged image (" in line or line.endswith(" read") for line in lines)
    assert "profile.png read" in lines
