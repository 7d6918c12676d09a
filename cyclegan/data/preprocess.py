"""The classic's five ways of scaling images before they are cut."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from cyclegan.data import DataSettings, PreprocessMode
from cyclegan.images import Size


@dataclass(frozen=True)
class Preprocess:
    """One mode: the size to scale to, and whether a crop of crop_size follows."""

    scaled: Callable[[Size, DataSettings], Size]
    crops: bool
    alike: bool = False
    """whether images of all sizes are scaled to the same size"""

    def scale(self, image: Image.Image, settings: DataSettings) -> Image.Image:
        """Scale by Pillow's bicubic filter, which is antialiased when it shrinks."""
        size = self.scaled(image.size, settings)
        return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)

    def result(self, size: Size, settings: DataSettings) -> Size:
        """The size that comes out of this mode for an image of `size`, crop included."""
        if self.crops:
            return (settings.crop_size, settings.crop_size)
        width, height = self.scaled(size, settings)
        return (width - width % 4, height - height % 4)


def _square(size: Size, settings: DataSettings) -> Size:
    return (settings.load_size, settings.load_size)


def _as_it_is(size: Size, settings: DataSettings) -> Size:
    return size


def _to_width(size: Size, settings: DataSettings) -> Size:
    """Aspect kept, except that no height comes out below crop_size."""
    width, height = size
    if width == settings.load_size and height >= settings.crop_size:
        return size
    scaled_height = max(settings.load_size * height / width, settings.crop_size)
    return (settings.load_size, int(scaled_height))


def _to_multiples_of_four(size: Size, settings: DataSettings) -> Size:
    width, height = (max(4, round(side / 4) * 4) for side in size)
    return (width, height)


#: The one table of preprocess modes (`--preprocess`).
PREPROCESS: dict[PreprocessMode, Preprocess] = {
    "resize_and_crop": Preprocess(_square, crops=True, alike=True),
    "crop": Preprocess(_as_it_is, crops=True),
    "scale_width": Preprocess(_to_width, crops=False),
    "scale_width_and_crop": Preprocess(_to_width, crops=True),
    "none": Preprocess(_to_multiples_of_four, crops=False),
}
