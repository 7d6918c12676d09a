"""Data: batches of tensors from two folders of images, and their settings."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT

DatasetMode = Literal["unaligned"]
CacheMode = Literal["auto", "ram", "disk", "off"]
PreprocessMode = Literal["resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"]


@dataclass(frozen=True, config=STRICT)
class DataSettings:
    """Training images and their preprocessing."""

    dataroot: Path | None = None
    """folder that holds trainA and trainB (and testA, testB)"""
    domain_A: Annotated[Path | None, tyro.conf.arg(aliases=["--content"])] = None
    """any folder of images as domain A, instead of dataroot/trainA"""
    domain_B: Annotated[Path | None, tyro.conf.arg(aliases=["--style"])] = None
    """any folder of images, or one image, as domain B, instead of dataroot/trainB"""
    dataset_mode: DatasetMode = "unaligned"
    """kind of data set: unaligned draws A and B independently"""
    preprocess: PreprocessMode = "resize_and_crop"
    """how to resize and crop images"""
    load_size: PositiveInt = 286
    """side in pixels (width, for scale_width) that images are resized to"""
    crop_size: PositiveInt = 256
    """side in pixels of the training crops; a multiple of 4"""
    flip: bool = True
    """flip images horizontally, half of the time"""
    serial_batches: bool = False
    """load images in order, A and B at the same index"""
    max_dataset_size: PositiveInt | None = None
    """maximum number of images per domain"""
    crops_per_image: PositiveInt = 1
    """crops per image and epoch, for few, large images"""
    batch_size: PositiveInt = 1
    """images of each domain per step"""
    num_threads: NonNegativeInt = 2
    """data loading workers; 0 loads in the training process"""
    range: tuple[float, float] | None = None
    """values of black and white, for files without a fixed value range (floats, DICOM)"""
    cache: CacheMode = "auto"
    """cache decoded, resized images: ram until the run ends, disk across runs (~/.cache/cyclegan),
    auto in ram if they fit in a quarter of the free memory"""
    augment: Annotated[tuple[dict[str, Any], ...], tyro.conf.Suppress] = ()
    """further transforms, given in the preset as [[data.augment]]: a name of albumentations, or of
    torchvision.transforms.v2 with library = "torchvision", and its arguments"""

    @property
    def scaled_to(self) -> int | None:
        """Side in pixels that images are scaled to; None if they keep their size."""
        return None if self.preprocess in ("crop", "none") else self.load_size

    def folder(self, domain: Literal["A", "B"], phase: str = "train") -> Path:
        """Return the folder of one domain. Raises UsageError if no flag gives it."""
        own = self.domain_A if domain == "A" else self.domain_B
        if own is not None:
            return own
        if self.dataroot is None:
            raise UsageError(
                f"no images of domain {domain}: give --dataroot DIR (with {phase}{domain} in it) "
                f"or --domain_{domain} DIR"
            )
        return self.dataroot / f"{phase}{domain}"

    def below(self, dataroot: Path | None) -> "DataSettings":
        """Return these settings with the images in `dataroot`; unchanged if it is None."""
        if dataroot is None:
            return self
        return replace(self, dataroot=dataroot, domain_A=None, domain_B=None)

    def lost(self) -> Iterator[tuple[str, Path]]:
        """Yield the flag and the path of each domain whose images are missing."""
        own = {
            "--domain_A (or --content)": self.domain_A,
            "--domain_B (or --style)": self.domain_B,
        }
        for flag, path in own.items():
            flag, path = ("--dataroot", self.dataroot) if path is None else (flag, path)
            if path is not None and not is_there(path):
                yield flag, path

    def check(self) -> None:
        """Raise UsageError if settings contradict each other."""
        if self.crop_size % 4:
            near = max(4, round(self.crop_size / 4) * 4)
            raise UsageError(
                f"--crop_size {self.crop_size}: must be a multiple of 4, for example {near}"
            )
        resized = self.preprocess in ("resize_and_crop", "scale_width_and_crop")
        if resized and self.crop_size > self.load_size:
            raise UsageError(
                f"--crop_size {self.crop_size} is larger than --load_size {self.load_size}: "
                "give a larger --load_size or a smaller --crop_size"
            )


def is_there(path: Path) -> bool:
    """Return whether something exists at `path` that this user may see."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder is closed
