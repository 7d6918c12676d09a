"""What a picture's header says, before anything is decoded."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageSequence, UnidentifiedImageError

from cyclegan.errors import UserError

#: Endings that are taken, with the media types of what is sent back.
ENDINGS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
#: Decoders that an upload may reach; Pillow knows some that start other programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_SMALLEST = 64 * 64  # pixels that any frame counts as: a million tiny ones are work too


class NoPictureError(UserError):
    """An upload that is no picture of a known kind."""


class TooLargeError(UserError):
    """A picture of more pixels than may be asked for."""


@dataclass(frozen=True)
class Header:
    """The sizes of a picture's frames or pages."""

    sizes: list[tuple[int, int]]

    def check(self, most: int, shorter: int | None) -> int:
        """The pixels to compute once each shorter side is scaled. Raises TooLargeError."""
        before, after = self._pixels(None), self._pixels(shorter)
        if max(before, after) > most:
            what = "scaled up it has" if after > before else "it has"
            raise TooLargeError(
                f"{what} {_mega(max(before, after))} megapixels, "
                f"{_mega(most)} are allowed here: make it smaller"
            )
        return after

    def _pixels(self, shorter: int | None) -> int:
        scales = (1.0 if shorter is None else shorter / min(size) for size in self.sizes)
        pixels = (w * h * scale**2 for (w, h), scale in zip(self.sizes, scales, strict=True))
        return round(sum(max(count, _SMALLEST) for count in pixels))


def read_header(path: Path) -> Header:
    """Read the header of a file. Raises NoPictureError, TooLargeError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                return Header(_sizes(image))
    except Image.DecompressionBombError:
        raise TooLargeError("it has far too many pixels: make it smaller") from None
    except UnidentifiedImageError:
        raise NoPictureError(
            "no picture of a known kind (PNG, JPEG, WebP, GIF, BMP, TIFF)"
        ) from None
    except Exception:  # decoders raise nearly every kind
        raise NoPictureError("a damaged picture") from None


def _sizes(image: Image.Image) -> list[tuple[int, int]]:
    if image.format == "TIFF":
        return [page.size for page in ImageSequence.Iterator(image)]
    count = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    return [image.size] * count


def _mega(pixels: int) -> str:
    return f"{pixels / 1e6:.1f}".removesuffix(".0")
