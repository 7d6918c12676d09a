"""What comes out is as deep, as transparent, as long and as well described as what went in.

With `strength` 0 the pictures come back as they were: what is lost then, reading and writing lost.
"""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
import torch
from conftest import GOLDEN, smooth_image
from PIL import Image, ImageCms, ImageSequence, JpegImagePlugin
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cyclegan import Translator, assemble, images
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.job import convert
from cyclegan.generators import ResnetSettings
from cyclegan.settings import from_table

FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def through(source: Path, **more: object) -> Path:
    """Convert one file, taking nothing of the conversion over; return the file that comes out."""
    output = source.parent / "out"
    settings = {"weights": FILE, "precision": "fp32", "compile": "off", "strength": 0.0, **more}
    assert convert(ConvertSettings(source, output, **settings)) == 0
    return next(path for path in output.iterdir() if path.stem == source.stem)


def noise(dtype: str, *shape: int) -> np.ndarray:
    drawn = np.random.default_rng(0)
    if dtype == "float32":
        return drawn.uniform(-3, 9, shape).astype(dtype)
    return drawn.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def gray_model(path: Path, channels: int = 1) -> Path:
    torch.manual_seed(0)
    network = ResnetSettings(ngf=2, n_blocks=1).build(channels, channels, "instance")
    torch.save(network.state_dict(), path / "model.pth")
    return path / "model.pth"


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_of_colour(tmp_path: Path, ending: str) -> None:
    pixels = noise("uint16", 20, 24, 3)
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", compression="zlib")
    made = through(tmp_path / "x.tif", format=ending)
    if ending == "tif":
        assert (tifffile.imread(made) == pixels).all()
    again = through(made, format="tif")
    assert (tifffile.imread(again) == pixels).all()
    assert tifffile.imread(again).dtype == np.uint16


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_of_gray(tmp_path: Path, ending: str) -> None:
    pixels = noise("uint16", 20, 24)
    Image.fromarray(pixels).save(tmp_path / f"x.{ending}")
    made = through(tmp_path / f"x.{ending}", weights=gray_model(tmp_path))
    with Image.open(made) as image:
        assert image.mode == "I;16"
        assert (np.asarray(image) == pixels).all()


def test_sixteen_bits_are_computed_as_such(tmp_path: Path) -> None:
    """Between two of 256 levels there are 256 others, in the conversion too."""
    pixels = noise("uint16", 20, 24, 3) // 16 + 20_000
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb")
    made = tifffile.imread(through(tmp_path / "x.tif", strength=1.0)).astype(np.float64)
    image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / 32767.5 - 1
    expected = (Translator.load(FILE).convert(image) + 1) * 32767.5
    assert np.abs(made - expected.permute(1, 2, 0).numpy()).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_transparency_stays(tmp_path: Path, dtype: str, ending: str) -> None:
    pixels = noise(dtype, 20, 24, 4)
    pixels[:4, :, 3] = 0
    more = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "x.tif", pixels, **more)
    made = through(tmp_path / "x.tif", format=ending)
    found = tifffile.imread(through(made, format="tif"))
    assert found.dtype == dtype
    assert (found[4:] == pixels[4:]).all()
    assert (found[:4, :, 3] == 0).all()


@pytest.mark.parametrize("mode", ["P", "LA", "1", "L", "CMYK"])
def test_modes_of_eight_bits(tmp_path: Path, mode: str) -> None:
    image = smooth_image(1, (24, 20)).convert("RGB").convert(mode)
    name = "x.tif" if mode == "CMYK" else "x.png"
    image.save(tmp_path / name)
    with Image.open(through(tmp_path / name)) as made:
        expected = image.convert("RGBA" if mode == "LA" else "RGB")
        assert made.mode == expected.mode
        assert np.abs(np.asarray(made).astype(int) - np.asarray(expected)).max() <= 1


def test_a_palette_with_holes(tmp_path: Path) -> None:
    image = smooth_image(1, (24, 20)).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "x.png", transparency=3)
    with Image.open(tmp_path / "x.png") as before, Image.open(through(tmp_path / "x.png")) as made:
        expected = np.asarray(before.convert("RGBA"))
        shown = expected[:, :, 3] > 0
        assert made.mode == "RGBA"
        assert (np.asarray(made)[:, :, 3] == expected[:, :, 3]).all()
        assert 0 < shown.mean() < 1
        assert (np.asarray(made)[shown] == expected[shown]).all()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_tags_stay_and_the_picture_stands_upright(tmp_path: Path, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8298] = 6, "Maker", "Somebody"
    exif.get_ifd(0x8769)[0x829A] = 0.5  # exposure, among the camera's own tags
    path = tmp_path / f"x.{ending}"
    smooth_image(1, (24, 20)).save(path, exif=exif, icc_profile=SRGB, dpi=(300, 300))
    with Image.open(through(path)) as made:
        assert made.size == (20, 24)
        found = made.getexif()
        assert found.get(0x0112, 1) == 1
        assert (found[0x010F], found[0x8298]) == ("Maker", "Somebody")
        assert made.info["icc_profile"] == SRGB
        if ending != "webp":  # which has no place for it
            assert [round(dots) for dots in made.info["dpi"]] == [300, 300]
        if ending != "tif":
            assert found.get_ifd(0x8769)[0x829A] == 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_stand_upright_too(tmp_path: Path, orientation: int) -> None:
    pixels = noise("uint16", 20, 24, 3)
    tifffile.imwrite(
        tmp_path / "x.tif", pixels, photometric="rgb",
        extratags=[(274, "H", 1, orientation, True)],
    )  # fmt: skip
    eight = Image.fromarray((pixels // 257).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    eight.save(tmp_path / "y.png", exif=exif)
    upright = np.asarray(images.read(tmp_path / "y.png", 3)).astype(int)
    made = tifffile.imread(through(tmp_path / "x.tif"))
    assert (made // 257 == upright).all()


def test_deep_pngs_keep_their_tags(tmp_path: Path) -> None:
    pixels = noise("uint16", 20, 24, 3)
    tifffile.imwrite(
        tmp_path / "x.tif", pixels, photometric="rgb", iccprofile=SRGB,
        resolution=(300, 300), resolutionunit="inch", extratags=[(271, "s", 0, "Maker", True)],
    )  # fmt: skip
    with Image.open(through(tmp_path / "x.tif", format="png")) as made:
        made.load()
        assert made.info["icc_profile"] == SRGB
        assert [round(dots) for dots in made.info["dpi"]] == [300, 300]
        assert made.getexif()[271] == "Maker"


def test_jpegs_are_compressed_as_they_were(tmp_path: Path) -> None:
    smooth_image(1, (64, 48)).save(tmp_path / "x.jpg", quality=37, subsampling=2)
    with Image.open(tmp_path / "x.jpg") as before, Image.open(through(tmp_path / "x.jpg")) as made:
        assert made.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(made) == 2
    again = through(tmp_path / "x.jpg", quality=90, chroma="444", overwrite=True)
    with Image.open(again) as made:
        assert JpegImagePlugin.get_sampling(made) == 0
        assert sum(made.quantization[0]) < 1000


def test_floats_need_a_range(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = noise("float32", 20, 24)
    tifffile.imwrite(tmp_path / "x.tif", pixels)
    model = gray_model(tmp_path)
    output = tmp_path / "none"
    assert convert(ConvertSettings(tmp_path / "x.tif", output, weights=model)) == 1
    assert "x.tif: float32 values have no known range: --range LOW HIGH" in caplog.text
    assert "(the file's are -3 to 9)" in caplog.text or "(the file's are -2.9" in caplog.text
    made = tifffile.imread(through(tmp_path / "x.tif", weights=model, range=(-3.0, 9.0)))
    assert made.dtype == np.float32
    assert np.abs(made - pixels).max() < 1e-5


def test_pages_stay_pages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pages = [noise("uint16", 20, 24 + 4 * number, 3) for number in range(3)]
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        for page in pages:
            writer.write(page, photometric="rgb")
    with tifffile.TiffFile(through(tmp_path / "x.tif")) as made:
        assert len(made.pages) == 3
        for page, expected in zip(made.pages, pages, strict=True):
            assert (page.asarray() == expected).all()
    as_jpg = ConvertSettings(tmp_path / "x.tif", tmp_path / "jpg", weights=FILE, format="jpg")
    assert convert(as_jpg) == 1
    assert "JPG holds one picture, this has 3 pages: give --format tif" in caplog.text


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_animations_move_on(tmp_path: Path, ending: str) -> None:
    frames = [smooth_image(number, (24, 20)) for number in range(4)]
    how = {"lossless": True} if ending == "webp" else {}
    frames[0].save(
        tmp_path / f"x.{ending}", save_all=True, append_images=frames[1:],
        duration=[40, 80, 120, 200], loop=0, **how,
    )  # fmt: skip
    with Image.open(tmp_path / f"x.{ending}") as before:
        expected = [frame.convert("RGB") for frame in ImageSequence.Iterator(before)]
    with Image.open(through(tmp_path / f"x.{ending}")) as made:
        assert made.n_frames == 4
        durations, colours = [], []
        for frame in ImageSequence.Iterator(made):
            frame.load()
            durations.append(frame.info["duration"])
            colours.append(frame.convert("RGB"))
        assert durations == [40, 80, 120, 200]
        assert made.info.get("loop", 0) == 0
    for found, wanted in zip(colours, expected, strict=True):
        assert np.abs(np.asarray(found).astype(int) - np.asarray(wanted)).mean() < 8


@pytest.mark.parametrize("ending", ["npy", "tif"])
def test_more_channels_than_colours(tmp_path: Path, ending: str) -> None:
    pixels = noise("uint16", 20, 24, 5)
    np.save(tmp_path / "x.npy", pixels)
    made = through(tmp_path / "x.npy", weights=gray_model(tmp_path, 5), format=ending)
    read = np.load if ending == "npy" else tifffile.imread
    assert (read(made) == pixels).all()
    if ending == "tif":
        again = through(made, weights=tmp_path / "model.pth", format="npy")
        assert (np.load(again) == pixels).all()


def test_the_wrong_number_of_channels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.save(tmp_path / "x.npy", noise("uint8", 20, 24, 5))
    assert convert(ConvertSettings(tmp_path / "x.npy", tmp_path / "out", weights=FILE)) == 1
    assert "x.npy: has 5 channels, the generator takes 3" in caplog.text


def dicom(path: Path, values: np.ndarray) -> None:
    """A computed tomography's slice: Hounsfield units, stored from 0 on."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    slice_ = pydicom.Dataset()
    slice_.file_meta = meta
    slice_.Rows, slice_.Columns = values.shape
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
    slice_.BitsAllocated = slice_.BitsStored = 16
    slice_.HighBit, slice_.PixelRepresentation = 15, 0
    slice_.RescaleSlope, slice_.RescaleIntercept = 1, -1024
    slice_.WindowCenter, slice_.WindowWidth = 40, 400
    slice_.PixelData = values.tobytes()
    slice_.save_as(path, enforce_file_format=True)


def test_medical_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = noise("uint16", 20, 24) % 2000
    dicom(tmp_path / "x.dcm", values)
    model = gray_model(tmp_path)
    assert convert(ConvertSettings(tmp_path / "x.dcm", tmp_path / "no", weights=model)) == 1
    assert "x.dcm: values have no range: --range -160 240 is the file's window" in caplog.text
    made = through(tmp_path / "x.dcm", weights=model, range=(-1024.0, 1000.0))
    assert made.suffix == ".tif"
    assert np.abs(tifffile.imread(made) - (values.astype(np.float32) - 1024)).max() < 1e-3


def lying(path: Path) -> None:
    """A TIFF that says it is large, cut to its first bytes."""
    tifffile.imwrite(path, noise("uint16", 400, 300, 3), photometric="rgb")
    path.write_bytes(path.read_bytes()[:3000])


BAD = {
    "lying.tif": lying,
    "cut.npy": lambda path: (np.save(path, noise("uint8", 90, 90)), cut(path)),
    "pickled.npy": lambda path: np.save(path, np.array([{}, {}]), allow_pickle=True),
    "flat.npy": lambda path: np.save(path, noise("uint8", 90)),
    "nan.npy": lambda path: np.save(path, np.full((20, 20), np.nan, np.float32)),
    "empty.dcm": lambda path: path.write_bytes(b""),
    "text.dcm": lambda path: path.write_text("no image at all"),
    "cut.gif": lambda path: (animation(path), cut(path)),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def animation(path: Path) -> None:
    frames = [smooth_image(number, (64, 64)) for number in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_each_and_the_rest_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    BAD[name](folder / name)
    smooth_image(1, (24, 20)).save(folder / "z.png")
    settings = ConvertSettings(folder, tmp_path / "out", weights=FILE, range=(0.0, 1.0))
    assert convert(settings) == 1
    (line,) = [record.getMessage() for record in caplog.records if name in record.getMessage()]
    assert line.count(f"{folder / name}: ") == 1
    assert "\n" not in line
    assert (tmp_path / "out" / "z.png").is_file()
    assert not [path for path in (tmp_path / "out").iterdir() if "unfinished" in path.name]


def test_strength_lies_between(tmp_path: Path) -> None:
    smooth_image(1, (24, 20)).save(tmp_path / "x.png")
    none, half, all_of_it = (
        np.asarray(Image.open(through(tmp_path / "x.png", strength=share, overwrite=True))).astype(
            int
        )
        for share in (0.0, 0.5, 1.0)
    )
    assert np.abs(half - (none + all_of_it) / 2).max() <= 1
    assert np.abs(all_of_it - none).max() > 20


@pytest.mark.parametrize(("flag", "kept"), [("keep_luminance", True), ("keep_color", False)])
def test_only_colour_or_only_light(tmp_path: Path, flag: str, kept: bool) -> None:
    low = Image.fromarray((np.asarray(smooth_image(1, (24, 20))) // 4 + 96).astype(np.uint8))
    low.save(tmp_path / "x.png")
    flags = {"strength": 0.3, flag: True, "overwrite": True}  # nothing leaves the range
    made = Image.open(through(tmp_path / "x.png", **flags))
    plain = Image.open(through(tmp_path / "x.png", strength=0.3, overwrite=True))
    before, after, without = (
        np.asarray(image.convert("RGB")).astype(float) @ [0.299, 0.587, 0.114]
        for image in (low, made, plain)
    )
    assert np.abs(after - (before if kept else without)).max() < 1.5
    assert np.abs(np.asarray(made).astype(int) - np.asarray(low)).max() > 3
    assert np.abs(before - without).max() > 5


@pytest.fixture
def run(tiny: dict) -> Path:
    settings = from_table(tiny, "x")
    assemble.train(settings)
    return settings.run.folder


def test_both_directions_and_what_goes_with_them(run: Path, tmp_path: Path) -> None:
    smooth_image(1, (24, 20)).save(tmp_path / "x.png")
    output = tmp_path / "out"
    settings = ConvertSettings(
        tmp_path / "x.png", output, name=run.name, checkpoints_dir=run.parent,
        direction="both", also="cycled,identity", precision="fp32",
    )  # fmt: skip
    assert convert(settings) == 0
    forth, back = (Translator.load(run, direction=way) for way in ("AtoB", "BtoA"))
    image = Image.open(tmp_path / "x.png")
    expected = {
        "AtoB/x.png": forth(image),
        "AtoB/cycled/x.png": back(forth(image)),
        "AtoB/identity/x.png": back(image),
        "BtoA/x.png": back(image),
        "BtoA/cycled/x.png": forth(back(image)),
        "BtoA/identity/x.png": forth(image),
    }
    for name, wanted in expected.items():
        assert (np.asarray(Image.open(output / name)) == np.asarray(wanted)).all(), name
