"""Medical images: what their numbers stand for, and files that are not called as such."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cyclegan import images
from cyclegan.conversion import Locations, Selection
from cyclegan.conversion.files import plan
from cyclegan.data.folders import list_images
from cyclegan.images.document import open_document
from cyclegan.images.picture import Picture

DRAWN = np.random.default_rng(0)


def write(path: Path, pixels: np.ndarray, photometric: str, **more: object) -> None:
    """A file of (H, W), (H, W, 3) or (N, H, W) pixels."""
    slice_ = pydicom.Dataset()
    slice_.file_meta = FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice_.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    slice_.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    slice_.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    slice_.Rows, slice_.Columns = pixels.shape[:2] if pixels.shape[-1] == 3 else pixels.shape[-2:]
    if slice_.SamplesPerPixel == 3:
        slice_.PlanarConfiguration = 0
    slice_.PhotometricInterpretation = photometric
    slice_.BitsAllocated = slice_.BitsStored = 8 * pixels.dtype.itemsize
    slice_.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in more.items():
        setattr(slice_, name, value)
    slice_.HighBit = slice_.BitsStored - 1
    slice_.PixelData = pixels.tobytes()
    slice_.save_as(path, enforce_file_format=True)


def opened(path: Path, values: tuple[float, float] | None = None) -> Picture:
    (picture,) = open_document(path, values).pictures
    trained = images.read_deep(path, picture.pixels.shape[2], values)
    assert (trained.shares() == picture.shares()).all()
    return picture


def test_white_where_low_is_the_inverse(tmp_path: Path) -> None:
    pixels = DRAWN.integers(0, 2001, (20, 24), np.uint16)
    write(tmp_path / "1.dcm", pixels, "MONOCHROME1")
    write(tmp_path / "2.dcm", pixels, "MONOCHROME2")
    one, two = (opened(tmp_path / f"{number}.dcm", (0, 2000)).pixels for number in (1, 2))
    assert (one == 2000 - two).all()
    assert (two[:, :, 0] == pixels).all()


@pytest.mark.parametrize("type", ["uint8", "int8"])
def test_eight_bits_have_a_range(tmp_path: Path, type: str) -> None:
    limits = np.iinfo(type)
    pixels = DRAWN.integers(limits.min, limits.max, (20, 24), type, endpoint=True)
    write(tmp_path / "x.dcm", pixels, "MONOCHROME2")
    picture = opened(tmp_path / "x.dcm")
    assert picture.pixels.dtype == type
    assert (picture.pixels[:, :, 0] == pixels).all()
    assert (picture.range.low, picture.range.high) == (limits.min, limits.max)


def test_fewer_bits_are_black_to_white(tmp_path: Path) -> None:
    pixels = np.tile(np.arange(64, dtype=np.uint8), (4, 1))
    write(tmp_path / "x.dcm", pixels, "MONOCHROME2", BitsStored=6)
    assert np.abs(opened(tmp_path / "x.dcm").shares()[:, :, 0] - pixels / 63).max() < 0.003


def test_eight_bits_with_units_need_a_range(tmp_path: Path) -> None:
    pixels = DRAWN.integers(0, 256, (20, 24), np.uint8)
    write(tmp_path / "x.dcm", pixels, "MONOCHROME2", RescaleSlope=4, RescaleIntercept=-100)
    with pytest.raises(images.UnreadableImageError, match="--range LOW HIGH"):
        opened(tmp_path / "x.dcm")


def test_colours(tmp_path: Path) -> None:
    colours = DRAWN.integers(0, 256, (20, 24, 3), np.uint8)
    write(tmp_path / "rgb.dcm", colours, "RGB")
    assert (opened(tmp_path / "rgb.dcm").pixels == colours).all()
    chroma = convert_color_space(colours, "RGB", "YBR_FULL")
    write(tmp_path / "ybr.dcm", chroma, "YBR_FULL")
    found = opened(tmp_path / "ybr.dcm").pixels.astype(int)
    assert np.abs(found - colours).max() <= 3
    assert found.dtype != np.float32


def test_a_palette(tmp_path: Path) -> None:
    table = DRAWN.integers(0, 65536, (3, 256), np.uint16)
    names = ("Red", "Green", "Blue")
    more = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in names}
    data = {
        f"{name}PaletteColorLookupTableData": one.tobytes()
        for name, one in zip(names, table, strict=True)
    }
    indices = DRAWN.integers(0, 256, (20, 24), np.uint8)
    write(tmp_path / "x.dcm", indices, "PALETTE COLOR", **more, **data)
    assert (opened(tmp_path / "x.dcm").pixels == np.moveaxis(table[:, indices], 0, -1)).all()


def test_several_slices(tmp_path: Path) -> None:
    pixels = DRAWN.integers(0, 256, (4, 20, 24), np.uint8)
    write(tmp_path / "x.dcm", pixels, "MONOCHROME1", NumberOfFrames=4)
    found = [picture.pixels[:, :, 0] for picture in open_document(tmp_path / "x.dcm").pictures]
    assert (np.stack(found) == 255 - pixels).all()


def test_no_pixels_are_one_line(tmp_path: Path) -> None:
    write(tmp_path / "x.dcm", np.zeros((4, 4), np.uint8), "MONOCHROME2")
    report = pydicom.dcmread(tmp_path / "x.dcm")
    del report.PixelData
    report.save_as(tmp_path / "x.dcm")
    with pytest.raises(images.UnreadableImageError, match="holds no pixels"):
        open_document(tmp_path / "x.dcm")


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.10008.5", "slice.ima", "SLICE.IMA", "x.dicom"])
def test_files_that_are_not_called_dcm(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / name, np.full((8, 9), 9, np.uint8), "MONOCHROME2")
    (folder / "README").write_text("text")
    (folder / "1.2.840.10008.6").write_text("text")
    assert list_images(folder) == [folder / name]
    assert images.is_deep(folder / name, 1)
    assert images.size(folder / name) == (9, 8)
    (job,) = plan(Locations(folder, tmp_path / "out"), Selection())
    known = name.lower().endswith((".ima", ".dicom"))
    assert job.name == Path(name).with_suffix(".tif") if known else job.name == Path(f"{name}.tif")


def test_numbers_that_share_a_beginning_keep_their_names(tmp_path: Path) -> None:
    names = ["1.2.840.1", "1.2.840.2"]
    for name in names:
        tifffile.imwrite(tmp_path / name, np.zeros((8, 9), np.uint8))
    jobs = plan(Locations(tmp_path, tmp_path / "out"), Selection())
    assert [job.name.name for job in jobs] == [f"{name}.tif" for name in names]


def test_levels_of_8_bits_have_their_range_beside_others(tmp_path: Path) -> None:
    pixels = DRAWN.integers(0, 256, (20, 24), np.uint8)
    write(tmp_path / "1.dcm", pixels, "MONOCHROME1")
    assert (opened(tmp_path / "1.dcm", (0, 4095)).pixels[:, :, 0] == 255 - pixels).all()


@pytest.mark.parametrize("name", ["RescaleSlope", "WindowCenter"])
def test_what_has_no_value_is_as_if_not_there(tmp_path: Path, name: str) -> None:
    pixels = DRAWN.integers(0, 256, (20, 24), np.uint8)
    write(tmp_path / "1.dcm", pixels, "MONOCHROME2", **{name: None})
    assert (opened(tmp_path / "1.dcm").pixels[:, :, 0] == pixels).all()
