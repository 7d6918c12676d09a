"""Whatever Pillow reads is taken from a folder, and what is left out is told."""

from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN, smooth_image
from PIL import Image

from cyclegan import assemble, cli, images
from cyclegan.conversion import ConvertSettings, Locations, Selection
from cyclegan.conversion.files import plan
from cyclegan.conversion.job import convert
from cyclegan.data.folders import list_images, look_into
from cyclegan.errors import UserError
from cyclegan.images import Encoding
from cyclegan.images.document import open_document, write_document
from cyclegan.images.formats import WRITTEN, ImageFormat, by_content
from cyclegan.images.picture import RANGES, Document, Picture, Range
from cyclegan.settings import from_table

#: By ending: what Pillow calls the format, the ending that is written, the mode that it saves.
KINDS = {
    ".jpg": ("JPEG", ".jpg", "RGB"),
    ".jpe": ("JPEG", ".jpe", "RGB"),
    ".jfif": ("JPEG", ".jfif", "RGB"),
    ".apng": ("PNG", ".apng", "RGB"),
    ".gif": ("GIF", ".gif", "RGB"),
    ".avif": ("AVIF", ".png", "RGB"),
    ".tga": ("TGA", ".png", "RGBA"),
    ".ppm": ("PPM", ".png", "RGB"),
    ".pgm": ("PPM", ".png", "L"),
    ".pbm": ("PPM", ".png", "1"),
    ".jp2": ("JPEG2000", ".png", "RGB"),
    ".dib": ("DIB", ".png", "RGB"),
    ".pcx": ("PCX", ".png", "RGB"),
    ".ico": ("ICO", ".png", "RGB"),
    ".sgi": ("SGI", ".png", "RGB"),
    ".dds": ("DDS", ".png", "RGBA"),
    ".mpo": ("MPO", ".jpg", "RGB"),
    ".qoi": ("QOI", ".png", "RGB"),
}
MODEL = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


def one_of_each(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for ending, (format, _, mode) in KINDS.items():
        smooth_image(1, (24, 20)).convert(mode).save(folder / f"x{ending}", format)
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        smooth_image(1, (24, 20)).save(folder / format.lower(), format)


def test_all_kinds_are_read_and_written_as_themselves_or_without_loss(tmp_path: Path) -> None:
    one_of_each(tmp_path / "in")
    found = list_images(tmp_path / "in")
    assert len(found) == len(KINDS) + 5
    output = tmp_path / "out"
    asked = {"weights": MODEL, "precision": "fp32", "compile": "off", "strength": 0.0}
    assert convert(ConvertSettings(tmp_path / "in", output, **asked)) == 0
    made = {
        job.source.name: job.target for job in plan(Locations(tmp_path / "in", output), Selection())
    }
    for ending, (_, written, _) in KINDS.items():
        target = made[f"x{ending}"]
        assert target.suffix == written or target.name == f"x{ending}{written}"
        before = np.asarray(images.read(tmp_path / "in" / f"x{ending}", 3)).astype(int)
        after = np.asarray(images.read(target, 3)).astype(int)
        assert np.abs(before - after).mean() < (0.01 if written == ".png" else 9)
        (picture,) = open_document(tmp_path / "in" / f"x{ending}").pictures
        assert (images.size(target)) == picture.size
    assert {made[name].name for name in ("jpeg", "png", "webp", "tiff", "bmp")} == {
        *("jpeg.jpg", "png.png", "webp.webp", "tiff.tif", "bmp.png")
    }


def test_what_begins_like_a_picture_but_is_called_otherwise(tmp_path: Path) -> None:
    smooth_image(1).save(tmp_path / "photo.jpg_large", "JPEG")
    smooth_image(1).save(tmp_path / "1.2.3", "TIFF")
    for name in ("slide.svs", "raw.dng", "raw.nef"):  # these are TIFF, but not of the picture
        smooth_image(1).save(tmp_path / name, "TIFF")
    for name in ("a.jpg~", "b.jpg.part", "c.jpg.crdownload", "d.jpg_original"):
        smooth_image(1).save(tmp_path / name, "JPEG")
    contents = look_into(tmp_path)
    assert [path.name for path in contents.images] == ["1.2.3", "photo.jpg_large"]
    assert contents.others["svs"] == contents.others["dng"] == contents.others["nef"] == 1
    assert contents.others.total() == 7


@pytest.fixture
def messy(dataroot: Path) -> Path:
    """A data set among whose files and folders are others."""
    folder = dataroot / "trainA"
    for name in ("a.heic", "b.heic", "c.HEIC", *(f"{number}.svs" for number in range(6))):
        (folder / name).write_bytes(b"\0\1\2\3")
    for name in ("notes.txt", "a.json", ".DS_Store", "Thumbs.db", "a.xml", "README", "._0.png"):
        (folder / name).write_text("text")
    for name in (".ipynb_checkpoints", ".Trash-1000", "__MACOSX", "@eaDir", "$RECYCLE.BIN"):
        (folder / name).mkdir()
        smooth_image(7).save(folder / name / "again.png")
    return dataroot


LINE = (
    "9 files of other kinds left out: heic 3, svs 6; folders left out: $RECYCLE.BIN, "
    ".Trash-1000, .ipynb_checkpoints, @eaDir, __MACOSX"
)


def test_converting_tells_what_is_left_out(
    messy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = plan(Locations(messy / "trainA", tmp_path / "out"), Selection())
    assert len(jobs) == 6
    assert [record.getMessage() for record in caplog.records] == [f"{messy / 'trainA'}: {LINE}"]


def test_checking_tells_what_is_left_out(messy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["data", "check", str(messy)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert told == [f"{messy / 'trainA'}: {LINE}"]


def test_training_tells_what_is_left_out(
    messy: Path, tiny: dict, caplog: pytest.LogCaptureFixture
) -> None:
    tiny["training"] = {"n_epochs": 1, "n_epochs_decay": 0}
    tiny["data"]["max_dataset_size"] = 1
    assemble.train(from_table(tiny, "x"))
    told = [line for line in caplog.messages if "left out" in line]
    assert told == [f"{messy / 'trainA'}: {LINE}"]


def test_a_folder_without_images_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no images \(it is empty\)"):
        list_images(tmp_path)
    (tmp_path / "a.heic").write_bytes(b"\0")
    (tmp_path / ".b.png").write_bytes(b"\0")
    words = r"holds no images \(2 files of other kinds left out: heic 1, hidden 1\)"
    with pytest.raises(UserError, match=words):
        list_images(tmp_path)


def test_programs_are_not_run(tmp_path: Path) -> None:
    """EPS is drawn by an interpreter, whatever the file is called."""
    smooth_image(1).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.png")
    with pytest.raises(images.UnreadableImageError, match="not an image in a supported format"):
        images.read(tmp_path / "x.png", 3)
    with pytest.raises(images.UnreadableImageError, match="not an image in a supported format"):
        open_document(tmp_path / "x.png")


def test_sixteen_bits_of_other_kinds_are_trained_on(tmp_path: Path) -> None:
    pixels = np.arange(480, dtype=np.uint16).reshape(20, 24) * 100
    (tmp_path / "x.pgm").write_bytes(b"P5 24 20 65535\n" + pixels.byteswap().tobytes())
    Image.fromarray(pixels).save(tmp_path / "x.jp2")
    for name in ("x.pgm", "x.jp2"):
        assert images.is_deep(tmp_path / name, 1)
        assert (images.read_deep(tmp_path / name, 1, None).pixels[:, :, 0] == pixels).all()


@pytest.mark.parametrize("format", WRITTEN, ids=lambda format: format.name)
def test_a_format_holds_what_the_table_says(format: ImageFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x{format.endings[0]}"
    for depth in format.depths or ("uint8", "uint16", "float32"):
        pixels = np.asarray(smooth_image(1)).astype(depth)
        picture = Picture(pixels, RANGES.get(depth, Range(0, 255)))
        write_document(path, [picture], Document([picture]), Encoding())
        (found,) = open_document(path, (0, 255)).pictures
        assert found.pixels.dtype == depth
        assert np.abs(found.pixels.astype(float) - pixels).mean() < 8
        assert by_content(path) == format
    pictures = [Picture(np.asarray(smooth_image(n)), RANGES["uint8"]) for n in range(3)]
    moving = {"duration": [40, 80, 40], "loop": 0} if format.moves else {}
    several = Document(pictures, len(pictures), moving)
    if not (format.pages or format.moves):
        with pytest.raises(UserError, match="holds one picture, this has 3 pages: give --format"):
            write_document(path, pictures, several, Encoding())
        return
    write_document(path, pictures, several, Encoding())
    opened = open_document(path)
    assert (opened.count, len(list(opened.pictures))) == (3, 3)
    assert opened.moving.get("duration", []) == moving.get("duration", [])
