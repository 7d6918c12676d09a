"""A file of one picture, of many pages, or of frames that move."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, ImageCms, ImageOps, ImageSequence

from cyclegan.errors import UserError
from cyclegan.images.eight_bit import UnreadableImageError, reason
from cyclegan.images.picture import RANGES, Array, Picture, Range
from cyclegan.images.tags import Tags
from cyclegan.packages import need


@dataclass(frozen=True)
class Document:
    """The pictures of a file, one after the other; read as they are asked for."""

    pictures: Iterable[Picture]
    count: int = 1
    moving: dict[str, Any] = field(default_factory=dict)
    """durations and repetitions of an animation; empty for pages"""


def open_document(path: Path, values: tuple[float, float] | None = None) -> Document:
    """Open a file; `values` are those that are -1 and 1, for types that have no range.

    Raises UnreadableImageError, naming the file and the reason; so does reading its pictures.
    """
    with reading(path):
        given = None if values is None else Range(*values)
        opened = _opener(path)(path, given)
        return Document(_checked(path, opened.pictures), opened.count, opened.moving)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in whatever a decoder raises."""
    try:
        yield
    except UserError as error:
        raise UnreadableImageError(f"{path}: {error}") from None
    except Exception as error:  # decoders raise nearly every kind
        raise UnreadableImageError(f"{path}: {reason(path, error)}") from error


def _checked(path: Path, pictures: Iterable[Picture]) -> Iterator[Picture]:
    coming = iter(pictures)
    while True:
        with reading(path):
            picture = next(coming, None)
        if picture is None:
            return
        yield picture


Opener = Callable[[Path, Range | None], Document]


def _opener(path: Path) -> Opener:
    suffix = path.suffix.lower()
    if suffix in _BY_ENDING:
        return _BY_ENDING[suffix]
    if suffix in (".tif", ".tiff") and _is_scientific(path):
        return _tiff
    return _deep_png if _is_deep_png(path) else _pillow


# Pillow: all that has 8 bits, and one channel of 16 or of floats.


def _pillow(path: Path, values: Range | None) -> Document:
    image = Image.open(path)
    count = getattr(image, "n_frames", 1)
    if count == 1:
        return Document(_frames(image, values))
    if image.format in ("TIFF", "MPO"):  # a JPEG with a second view beside the first
        return Document(_frames(image, values), count if image.format == "TIFF" else 1)
    loop = {"loop": image.info["loop"]} if "loop" in image.info else {}
    durations = [_duration(frame) for frame in ImageSequence.Iterator(image)]
    image.seek(0)
    return Document(_frames(image, values), count, {"duration": durations, **loop})


def _duration(frame: Image.Image) -> int:
    """Milliseconds that a frame is shown."""
    if frame.format == "WEBP":  # it is known when the frame is decoded
        frame.load()
    return int(frame.info.get("duration", 0) or 0)


def _frames(image: Image.Image, values: Range | None) -> Iterator[Picture]:
    with image:
        for frame in [image] if image.format == "MPO" else ImageSequence.Iterator(image):
            frame.load()
            yield _of_pillow(frame, values)


def _of_pillow(image: Image.Image, values: Range | None) -> Picture:
    tags = Tags.of(image)
    try:
        upright = ImageOps.exif_transpose(image)
    except Exception:  # as with Tags: damaged EXIF
        upright = image
    if upright.mode == "F" or upright.mode.startswith("I"):
        return of_array(np.asarray(upright), values, tags)
    colour, alpha = _parted(upright)
    pixels = np.asarray(colour)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if alpha is not None:
        pixels = _visible(pixels, alpha)
    return Picture(pixels, RANGES["uint8"], alpha, tags.fitting(colour.mode))


def _parted(image: Image.Image) -> tuple[Image.Image, Array | None]:
    """The colours as L or RGB, and how opaque they are where that is said."""
    if image.has_transparency_data:
        with_alpha = image.convert("LA" if image.mode in ("L", "LA", "La", "1") else "RGBA")
        plain = "L" if with_alpha.mode == "LA" else "RGB"
        return with_alpha.convert(plain), np.asarray(with_alpha.getchannel("A"))
    if image.mode in ("L", "RGB"):
        return image, None
    return _without_profile(image) or image.convert("L" if image.mode == "1" else "RGB"), None


def _without_profile(image: Image.Image) -> Image.Image | None:
    """Colours for print as colours for a screen, by the file's profile if there is one."""
    profile = image.info.get("icc_profile")
    if image.mode != "CMYK" or not profile:
        return None
    try:
        screen = ImageCms.createProfile("sRGB")
        made = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), screen, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    return cast(Image.Image, made)


def _visible(pixels: Array, alpha: Array) -> Array:
    """White where nothing shows: what hides under full transparency is no picture."""
    top = np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else 1.0
    return np.where((alpha == 0)[:, :, None], pixels.dtype.type(top), pixels)


# PNG with 16 bits a channel: Pillow would cut them to 8.


def _is_deep_png(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(26)
    return (
        header[:8] == b"\x89PNG\r\n\x1a\n" and header[24:25] == b"\x10" and header[25:26] != b"\0"
    )


def _deep_png(path: Path, values: Range | None) -> Document:
    return Document(_deep_frames(path, values))


def _deep_frames(path: Path, values: Range | None) -> Iterator[Picture]:
    import cv2

    with Image.open(path) as header:
        tags = Tags.of(header)
        turned = header.getexif().get(_ORIENTATION, 1)
    found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise OSError("damaged or cut short")
    if found.ndim == 3:  # cv2 has blue first
        found = found[:, :, [2, 1, 0, *range(3, found.shape[2])]]
    yield of_array(_turned(found, turned), values, tags)


_ORIENTATION = 0x0112
#: By EXIF's orientation: what makes rows and columns upright.
_TURN: dict[int, Callable[[Array], Array]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


def _turned(pixels: Array, orientation: int) -> Array:
    return _TURN[orientation](pixels) if orientation in _TURN else pixels


# TIFF with 16 bits in colour, floats in colour, or more channels than colours have.


def _is_scientific(path: Path) -> bool:
    """Whether it is beyond Pillow."""
    samples, deep = _samples(path)
    return (deep and samples > 1) or samples > 4


def is_deep_tiff(path: Path) -> bool:
    """Whether it has more than 8 bits, or more channels than colours and transparency."""
    samples, deep = _samples(path)
    return deep or samples > 4


def _samples(path: Path) -> tuple[int, bool]:
    """Values for each pixel, and whether they have more than 8 bits."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            return int(page.samplesperpixel), page.dtype is not None and page.dtype.itemsize > 1
    except Exception:  # Pillow has the words for what is wrong with it
        return 1, False


def _tiff(path: Path, values: Range | None) -> Document:
    import tifffile

    with tifffile.TiffFile(path) as file:
        count = len(file.pages)
    return Document(_tiff_pages(path, values, count), count)


def _tiff_pages(path: Path, values: Range | None, count: int) -> Iterator[Picture]:
    import tifffile

    tags = _pillow_tags(path)
    with tifffile.TiffFile(path) as file:
        for number in range(count):
            page: Any = file.pages[number]
            needed, there = page.nbytes, path.stat().st_size
            if needed > 2000 * there:
                raise OSError(f"says it holds {needed} bytes of pixels, has {there} bytes")
            pixels = _channels_last(page)
            upright = _turned(pixels, page.tags.valueof(_ORIENTATION, 1))
            yield of_array(upright, values, tags, has_alpha=_has_alpha(page))


def _pillow_tags(path: Path) -> Tags:
    try:
        with Image.open(path) as header:
            return Tags.of(header)
    except Exception:  # more channels than Pillow knows of
        return Tags()


def _has_alpha(page: Any) -> bool:
    return any(int(kind) in (1, 2) for kind in page.extrasamples)  # 0 says nothing


def _channels_last(page: Any) -> Array:
    found: Array = page.asarray()
    if page.axes.startswith("S"):  # plane by plane
        found = np.moveaxis(found, 0, -1)
    return found[:, :, None] if found.ndim == 2 else found


# Arrays and medical images.


def _npy(path: Path, values: Range | None) -> Document:
    array = np.load(path, allow_pickle=False)
    if array.ndim not in (2, 3):
        raise UserError(f"an array of shape {array.shape}: (H, W) or (H, W, C) is needed")
    return Document([of_array(array, values, Tags(), has_alpha=False)])


def opens_dicom(path: Path, *, pixels: bool = True) -> Any:
    """The data set of a DICOM file. Raises UserError where the package for it is missing."""
    need("DICOM files", "scientific", "pydicom")
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=not pixels)


def _dicom(path: Path, values: Range | None) -> Document:
    dataset = opens_dicom(path)
    from pydicom.pixels.processing import apply_modality_lut

    array = apply_modality_lut(dataset.pixel_array, dataset).astype(np.float32)
    if array.ndim == 3 and dataset.get("NumberOfFrames", 1) == 1:
        return Document([of_array(array, values, Tags(), has_alpha=False)])
    slices = array[None] if array.ndim == 2 else array
    if values is None and "WindowCenter" in dataset:
        centre, width = (np.atleast_1d(dataset[tag].value)[0] for tag in _WINDOW)
        low, high = float(centre) - float(width) / 2, float(centre) + float(width) / 2
        raise UserError(f"values have no range: --range {low:g} {high:g} is the file's window")
    return Document([of_array(one, values, Tags()) for one in slices], len(slices))


_WINDOW = ("WindowCenter", "WindowWidth")
_BY_ENDING: dict[str, Opener] = {".npy": _npy, ".dcm": _dicom}
#: Endings that only conversion reads.
MORE_EXTENSIONS = frozenset({".gif"})


def of_array(
    array: Array, values: Range | None, tags: Tags, *, has_alpha: bool | None = None
) -> Picture:
    """A picture of (H, W) or (H, W, C); of 2 or 4 channels the last one is alpha.

    Raises UserError where its values have no range and none is given.
    """
    pixels = array[:, :, None] if array.ndim == 2 else array
    alpha = None
    if has_alpha is not False and pixels.shape[2] in (2, 4):
        pixels, alpha = pixels[:, :, :-1], pixels[:, :, -1]
    if values is None and pixels.dtype == np.int32 and _fits(pixels, 65535):  # Pillow's "I"
        pixels = pixels.astype(np.uint16)
    found = values or RANGES.get(pixels.dtype.name)
    if found is None:
        raise UserError(
            f"{pixels.dtype} values have no known range: --range LOW HIGH gives those that are "
            f"black and white (the file's are {np.nanmin(pixels):g} to {np.nanmax(pixels):g})"
        )
    if np.issubdtype(pixels.dtype, np.floating) and not np.isfinite(pixels).all():
        raise UserError("holds values that are no numbers (NaN or infinity)")
    if alpha is not None:
        pixels = _visible(pixels, alpha)
    return Picture(np.ascontiguousarray(pixels), found, alpha, tags)


def _fits(pixels: Array, top: int) -> bool:
    return int(pixels.min()) >= 0 and int(pixels.max()) <= top
