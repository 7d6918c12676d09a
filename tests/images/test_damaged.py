"""Degenerate pictures are damaged ones, with a reason; the rest of a folder is done."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import GOLDEN, smooth_image
from PIL import Image

from cyclegan import cli, images
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.job import convert
from cyclegan.images.document import open_document
from cyclegan.images.pillow import open_image

MODEL = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


def changed(path: Path, tag: int, value: int, type: str = "uint16", channels: int = 3) -> None:
    """A TIFF that says something else of itself than it is."""
    tifffile.imwrite(path, np.zeros((20, 24, channels), type), photometric="rgb")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[tag].overwrite(value)


def flat_png(path: Path) -> None:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks:
        data += struct.pack(">I", len(content)) + name + content
        data += struct.pack(">I", zlib.crc32(name + content))
    path.write_bytes(data)


def wide_webp(path: Path) -> None:
    """An animation whose header says that it is wider than any can be."""
    frames = [Image.new("RGB", (24, 20), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    content = bytearray(path.read_bytes())
    content[24:27] = (4_194_327).to_bytes(3, "little")
    path.write_bytes(content)


DAMAGED = {
    "wide.webp": wide_webp,
    "width.tif": lambda path: changed(path, 256, 0),
    "height.tif": lambda path: changed(path, 257, 0),
    "plain.tif": lambda path: changed(path, 256, 0, "uint8"),
    "float.tif": lambda path: changed(path, 256, 0, "float32"),
    "width.npy": lambda path: np.save(path, np.zeros((20, 0), np.uint8)),
    "height.npy": lambda path: np.save(path, np.zeros((0, 20, 3), np.uint16)),
    "channels.npy": lambda path: np.save(path, np.zeros((20, 24, 0), np.uint8)),
    "complex.npy": lambda path: np.save(path, np.zeros((20, 24), np.complex64)),
    "words.npy": lambda path: np.save(path, np.full((20, 24), "word")),
    "line.npy": lambda path: np.save(path, np.zeros(20, np.uint8)),
    "width.png": flat_png,
    "width.ppm": lambda path: path.write_bytes(b"P6 0 9 255\n"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_degenerate_pictures_are_damaged_with_a_reason(tmp_path: Path, name: str) -> None:
    DAMAGED[name](tmp_path / name)
    looks = (
        lambda path: list(open_document(path).pictures),
        lambda path: (
            images.read_deep(path, 3, None) if images.is_deep(path, 3) else images.read(path, 3)
        ),
    )
    for look in looks:
        with pytest.raises(images.UnreadableImageError) as error:
            look(tmp_path / name)
        assert str(error.value).startswith(f"{tmp_path / name}: ")
        assert "None" not in str(error.value)
        assert str(error.value).count(str(tmp_path)) == 1
    if name.startswith(("width", "height", "plain", "line", "wide")):
        with pytest.raises(images.UnreadableImageError):
            images.size(tmp_path / name)


def test_the_rest_of_the_folder_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, make in DAMAGED.items():
        make(folder / name)
    smooth_image(1).save(folder / "z.png")
    assert convert(ConvertSettings(folder, tmp_path / "out", weights=MODEL)) == 1
    assert (tmp_path / "out" / "z.png").is_file()
    for name in DAMAGED:
        (line,) = [line for line in caplog.messages if f"/{name}: " in line]
        assert "None" not in line
    capsys.readouterr()
    assert cli.run(["data", "check", str(folder)]) == 1
    told = capsys.readouterr().out
    assert all(f"{folder / name}: " in told for name in DAMAGED)


class _Counted(io.BytesIO):
    """A file that counts how often it is read."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        return super().read(size)


def test_long_rows_are_not_read_piece_by_piece() -> None:
    """Pillow copies what it has of a row with each piece: in a square of the row's length."""
    file = _Counted()
    Image.new("RGB", (1_000_000, 4)).save(file, "BMP")
    file.seek(0)
    file.reads = 0
    open_image(file).load()
    assert file.reads < 20
