"""The DICOM format of medical images."""

from pathlib import Path
from typing import Any

import numpy as np

from cyclegan.errors import UserError, require_extra
from cyclegan.images.arrays import Meaning, full_scale, of_array
from cyclegan.images.codec import Codec
from cyclegan.images.picture import Array, Document, Range, Size
from cyclegan.images.tags import Tags


def _open(path: Path, *, pixels: bool = True) -> Any:
    """Open the data set of a DICOM file. Raises UserError if the package for it is missing."""
    require_extra("DICOM files", "scientific", "pydicom")
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=not pixels)


def _read(path: Path, values: Range | None) -> Document:
    """Read the slices of a file: in the file's own units, or as levels if it has such.

    Raises UserError if its values have no range and none is given.
    """
    dataset = _open(path)
    for name in [*_SCALE, *_WINDOW]:  # written without a value: as if it were not there
        if name in dataset and dataset[name].is_empty:
            del dataset[name]
    if not any(name in dataset for name in _PIXELS):
        raise UserError("holds no pixels (a report, or an index of other files)")
    kind = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    in_colour = dataset.get("SamplesPerPixel", 1) > 1 or kind == "PALETTE COLOR"
    array = _colours(dataset, kind) if in_colour else _gray(dataset)
    slices = array if array.ndim > (3 if in_colour else 2) else array[None]
    if values is None and slices.dtype.kind == "f" and all(name in dataset for name in _WINDOW):
        raise UserError(f"values have no range: {_window(dataset)}")
    meaning = Meaning(has_alpha=False, white_is_low=kind == "MONOCHROME1")
    # Levels of 8 bits have their range; --range is for others in the folder, as with PNG.
    given = None if slices.dtype.itemsize == 1 else values
    pictures = [of_array(one, given, Tags(), meaning) for one in slices]
    return Document(pictures, len(pictures))


def _size(path: Path) -> Size:
    header = _open(path, pixels=False)
    return int(header.Columns), int(header.Rows)


def _colours(dataset: Any, kind: str) -> Array:
    """Return (H, W, 3) or (N, H, W, 3), unsigned; luminance and chroma are RGB already."""
    array: Array = dataset.pixel_array
    if kind != "PALETTE COLOR":
        return full_scale(array, dataset.BitsStored)
    from pydicom.pixels.processing import apply_color_lut

    found: Array = apply_color_lut(array, dataset)
    return full_scale(found, dataset.RedPaletteColorLookupTableDescriptor[2])


def _gray(dataset: Any) -> Array:
    """Return (H, W) or (N, H, W): levels of 8 bits, or what the numbers stand for."""
    array: Array = dataset.pixel_array
    if array.dtype.kind != "f" and dataset.BitsStored <= 8 and not _has_units(dataset):
        return full_scale(array.astype(f"{array.dtype.kind}1"), dataset.BitsStored)
    from pydicom.pixels.processing import apply_modality_lut

    found: Array = apply_modality_lut(array, dataset).astype(np.float32)
    return found


def _has_units(dataset: Any) -> bool:
    slope, base = (float(dataset.get(name, plain)) for name, plain in _SCALE.items())
    return slope != 1 or base != 0 or "ModalityLUTSequence" in dataset


def _window(dataset: Any) -> str:
    centre, width = (float(np.atleast_1d(dataset[tag].value)[0]) for tag in _WINDOW)
    return f"--range {centre - width / 2:g} {centre + width / 2:g} is the file's window"


_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SCALE = {"RescaleSlope": 1, "RescaleIntercept": 0}
_WINDOW = ("WindowCenter", "WindowWidth")

DICOM = Codec(_read, is_deep=lambda path: True, size=_size)
