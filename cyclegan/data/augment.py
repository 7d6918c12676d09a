"""Scaling, crops, flips and further augmentation, by albumentations or torchvision."""

import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from cyclegan.data.preprocess import PREPROCESS
from cyclegan.errors import suggest

# Must stand before the import: albumentations looks for updates on the network when imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import numpy as np
import torch
from PIL import Image
from torch import nn

from cyclegan.data import DataSettings
from cyclegan.data.cache import Pixels
from cyclegan.errors import UsageError, in_one_line
from cyclegan.images import Size
from cyclegan.images.picture import Picture


class Augmentation:
    """Transforms of an image of `channels` channels between decoding and the tensor.

    Raises UsageError if a transform of the preset does not exist, does not take its arguments or
    does not work on images of this run.
    """

    def __init__(self, settings: DataSettings, channels: int) -> None:
        self._settings = settings
        self._preprocess = PREPROCESS[settings.preprocess]
        side = settings.crop_size
        self._transforms = albumentations.Compose(
            [
                *([albumentations.RandomCrop(side, side)] if self._preprocess.crops else []),
                *([albumentations.HorizontalFlip(p=0.5)] if settings.flip else []),
                *(_probed(further, side, channels) for further in settings.augment),
            ]
        )

    def enough(self, size: Size) -> Size:
        """Return the size to which an image of `size` may be decoded.

        The full size if the result's size follows from the image's: a smaller decoding would round
        it differently.
        """
        return self._preprocess.scaled(size, self._settings) if self._preprocess.alike else size

    def scaled(self, image: Image.Image) -> Pixels:
        """Scale an 8-bit image to (H, W, C) in [0, 255]; nothing is random yet."""
        scaled = np.asarray(self._preprocess.scale(image, self._settings))
        return scaled.reshape(*scaled.shape[:2], -1)  # (H, W) -> (H, W, 1)

    def scaled_deep(self, picture: Picture) -> Pixels:
        """Scale a picture with all its bits to (H, W, C) in [0, 1]; nothing is random yet."""
        size = self._preprocess.scaled(picture.size, self._settings)
        return picture.scaled(size).shares()

    def __call__(self, pixels: Pixels, seed: int) -> Pixels:
        """Augment scaled pixels to (H, W, C), sides multiples of 4; same seed, same result."""
        self._transforms.set_random_seed(seed)
        augmented: Pixels = self._transforms(image=pixels)["image"]
        height, width = augmented.shape[:2]
        # The generators halve and double twice: a rest of 1 to 3 pixels would not come back.
        return augmented.reshape(height, width, -1)[: height - height % 4, : width - width % 4]


def _probed(further: Mapping[str, Any], side: int, channels: int) -> albumentations.BasicTransform:
    """Build one transform of the preset and try it on an image like this run's."""
    name = str(further.get("name"))
    arguments = {key: value for key, value in further.items() if key not in ("name", "library")}
    library = _library(name, str(further.get("library", "albumentations")))
    transform = _build(library, name, arguments)
    # Always applied, and not square: what happens now and then must be seen now.
    certain = _build(library, name, arguments | {"p": 1.0})
    shape = (side, side + 4, channels)
    probe: Pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    if channels not in (1, 3):  # such images come as shares of their range
        probe = (probe / 255).astype(np.float32)
    try:
        result = albumentations.Compose([certain])(image=probe)["image"]
    except Exception as error:  # whatever a transform says against such an image
        raise UsageError(
            f"[[data.augment]] {name}: fails on images of {channels} channels ({_line(error)})"
        ) from error
    kept = result.shape[:2] == probe.shape[:2] and result.size == probe.size
    if result.dtype != probe.dtype or not kept:
        raise UsageError(
            f"[[data.augment]] {name}: turns {probe.dtype} images of {probe.shape} into "
            f"{result.dtype} of {result.shape}; choose one that keeps shape and dtype"
        )
    return transform


@dataclass(frozen=True)
class _Library:
    """A library of transforms."""

    title: str
    """its name and version"""
    transforms: Mapping[str, type]
    takes: Callable[[type], set[str]]
    """the arguments of a transform"""
    make: Callable[[type, Mapping[str, Any]], albumentations.BasicTransform]


def _library(name: str, library: str) -> _Library:
    if library not in _LIBRARIES:
        raise UsageError(
            f"[[data.augment]] {name}: library = {library!r}: choose from "
            f"{' and '.join(_LIBRARIES)}{suggest(library, _LIBRARIES)}"
        )
    return _LIBRARIES[library]()


def _build(
    library: _Library, name: str, arguments: Mapping[str, Any]
) -> albumentations.BasicTransform:
    cls = library.transforms.get(name)
    if cls is None:
        raise UsageError(
            f"[[data.augment]] name = {name!r}: no transform of single images in {library.title}"
            f"{suggest(name, library.transforms)}"
        )
    known = library.takes(cls)
    for key in arguments:
        if key not in known:
            raise UsageError(
                f"[[data.augment]] {name}: no argument {key!r}{suggest(key, known)}; "
                f"it takes {', '.join(sorted(known))}"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return library.make(cls, {key: _tuples(value) for key, value in arguments.items()})
    except (ValueError, TypeError, UserWarning) as error:
        raise UsageError(f"[[data.augment]] {name}: {_line(error)}") from error


def _tuples(value: Any) -> Any:
    """Convert TOML's lists to tuples, which the libraries take."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _line(error: BaseException) -> str:
    return in_one_line(str(error)) or type(error).__name__


def _arguments(cls: type) -> set[str]:
    return set(inspect.signature(cls).parameters)


def _transforms_in(module: ModuleType, *bases: type) -> dict[str, type]:
    """Return a library's subclasses of `bases` by name, without the bases, which do nothing."""
    return {
        name: cls
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and issubclass(cls, bases) and cls not in bases
    }


def _albumentations() -> _Library:
    bases = (albumentations.ImageOnlyTransform, albumentations.DualTransform)
    transforms = _transforms_in(albumentations, *bases)
    title = f"albumentations {albumentations.__version__}"
    return _Library(title, transforms, _arguments, lambda cls, given: cls(**given))


def _torchvision() -> _Library:
    import torchvision
    from torchvision.transforms import v2

    transforms = _transforms_in(v2, v2.Transform)
    title = f"torchvision.transforms.v2 {torchvision.__version__}"
    return _Library(title, transforms, lambda cls: _arguments(cls) | {"p"}, _of_torchvision)


class _Torchvision(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """Adapter of a torchvision transform for albumentations, which gives its seed."""

    def __init__(self, transform: nn.Module, p: float) -> None:
        super().__init__(p=p)
        self._transform = transform

    def apply(self, img: Pixels, **unused: Any) -> Pixels:
        image = torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1)))
        with torch.random.fork_rng(devices=[]):  # its random numbers are the process's
            torch.default_generator.manual_seed(self.py_random.getrandbits(63))
            changed: torch.Tensor = self._transform(image)
        return np.ascontiguousarray(changed.numpy().transpose(1, 2, 0))


def _of_torchvision(cls: type, arguments: Mapping[str, Any]) -> _Torchvision:
    """Build a transform applied with probability `p`, its own if it has one, else the adapter's."""
    own = arguments if "p" in _arguments(cls) else {k: v for k, v in arguments.items() if k != "p"}
    return _Torchvision(cls(**own), 1.0 if own is arguments else arguments.get("p", 1.0))


_LIBRARIES: Mapping[str, Callable[[], _Library]] = {
    "albumentations": _albumentations,
    "torchvision": _torchvision,
}
