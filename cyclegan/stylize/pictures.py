"""The files that are painted from, and the one that is painted."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cyclegan.errors import UsageError, UserError, in_words
from cyclegan.images import Size
from cyclegan.images.document import depth_to_write, open_document, write_document
from cyclegan.images.encoding import Encoding
from cyclegan.images.formats import WRITABLE
from cyclegan.images.picture import Document, Picture
from cyclegan.stylize import StylizeSettings

FEWEST = 32  # pixels of a painting's shorter side


def read_picture(path: Path, flag: str, values: tuple[float, float] | None = None) -> Picture:
    """The one picture of a file, in colour; `values` as for `open_document`.

    Raises UserError, naming the file.
    """
    document = open_document(path, values)
    if document.count != 1:
        raise UserError(f"--{flag} {path}: holds {document.count} pictures: give a file of one")
    (picture,) = document.pictures
    try:
        return picture.with_channels(3)
    except UserError:
        channels = picture.pixels.shape[2]
        raise UserError(f"--{flag} {path}: has {channels} channels, not gray or colour") from None


def check_painting(path: Path, picture: Picture) -> None:
    """Raise UserError where a painting is too small to have a style."""
    width, height = picture.size
    if min(width, height) < FEWEST:
        raise UserError(
            f"--style {path}: {width}x{height} pixels are too few for a style: give a picture "
            f"with {FEWEST} or more a side"
        )


def check_sides(path: Path, size: Size, flag: str, smallest: int) -> None:
    """Raise UserError where a picture is too small for the network that looks at it."""
    if min(size) < smallest:
        raise UserError(
            f"--{flag} {path}: {size[0]}x{size[1]} pixels are too few for the layers that are "
            f"looked at, which need {smallest} a side: give a larger one, or earlier layers"
        )


def within(size: Size, longest: int) -> Size:
    """The size scaled down so that its longer side is `longest`; smaller ones stay."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def as_tensor(picture: Picture) -> Tensor:
    """(1, 3, H, W) in [-1, 1], transparency laid on white."""
    shares = torch.from_numpy(picture.shares()).permute(2, 0, 1)[None]
    return shares.contiguous() * 2 - 1


@dataclass(frozen=True)
class Target:
    """The file that is written."""

    path: Path

    def check(self, settings: StylizeSettings) -> None:
        """Raise UserError where it can't be written, or should not be."""
        if self.path.suffix.lower() not in WRITABLE:
            endings = ", ".join(sorted(WRITABLE))
            raise UsageError(f"--output {self.path}: give a file that ends in {endings}")
        if self.path.is_dir():
            raise UsageError(f"--output {self.path}: a folder: give a file")
        if self.path.exists():
            for flag, source in (("content", settings.content), ("style", settings.style)):
                if source.exists() and self.path.samefile(source):
                    raise UsageError(f"--output {self.path}: is --{flag} itself: give another file")
            if not settings.overwrite:
                raise UserError(
                    f"{self.path}: there already: give another --output, or --overwrite"
                )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(self.path.parent, os.W_OK):
            raise UserError(f"{self.path}: can't be written (no permission in its folder)")

    def write(self, made: Tensor, like: Picture) -> None:
        """Write what was made, (1, 3, H, W) in [-1, 1], with the tags and transparency of `like`.

        It appears under its name whole or never.
        """
        depth = depth_to_write(self.path, like)
        pixels = depth.range.of_model(made[0].cpu().permute(1, 2, 0), depth.type)
        picture = like.repainted(pixels, depth.range)
        try:
            write_document(self.path, [picture], Document([picture]), Encoding())
        except OSError as error:
            raise UserError(f"{self.path}: can't be written ({in_words(error)})") from error
