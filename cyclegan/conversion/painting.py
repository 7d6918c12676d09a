"""A picture with all its bits through a generator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cyclegan.conversion.look import Look
from cyclegan.conversion.mask import Place
from cyclegan.conversion.translator import Translator
from cyclegan.images.picture import Picture, Range
from cyclegan.tiling.means import Tell, silent
from cyclegan.tiling.rows import Shape


@dataclass(frozen=True)
class Canvas:
    """A picture as tiling asks for it."""

    picture: Picture

    @property
    def shape(self) -> Shape:
        """Of the pixels."""
        height, width, channels = self.picture.pixels.shape
        return Shape(channels, height, width)

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """(1, C, bottom - top, right - left), float32 in [-1, 1]."""
        return self.picture.window(top, bottom, left, right)


def paint(
    picture: Picture, translator: Translator, look: Look, depth: "Depth", tell: Tell = silent
) -> Picture:
    """Convert; what comes out has the input's size, transparency and tags.

    `tell` hears which share is done, where it is not computed at once.
    Raises UserError where the generator takes other channels, or memory is not enough.
    """
    architecture = translator.generator.architecture
    source = Canvas(picture.with_channels(architecture.input_nc))
    height, width = picture.pixels.shape[:2]
    made = np.empty((height, width, architecture.output_nc), depth.type)
    for block in translator.blocks(source, tell):
        bottom, right = block.top + block.pixels.shape[1], block.left + block.pixels.shape[2]
        before = source.window(block.top, bottom, block.left, right)[0]
        place = Place(height, width, block.top, block.left)
        after = look.of(before, block.pixels, place).permute(1, 2, 0)
        made[block.top : bottom, block.left : right] = depth.range.of_model(after, depth.type)
    return source.picture.repainted(made, depth.range)


def paint_together(
    pictures: Sequence[Picture], translator: Translator, look: Look, depths: "Sequence[Depth]"
) -> list[Picture]:
    """The same for pictures of one size, in one call where memory is enough."""
    channels = translator.generator.architecture.input_nc
    sources = [picture.with_channels(channels) for picture in pictures]
    width, height = sources[0].size
    before = torch.cat([source.window(0, height, 0, width) for source in sources])
    painted = []
    for image, made, source, depth in zip(
        before, translator.convert_batch(before), sources, depths, strict=True
    ):
        after = look.of(image, made, Place(height, width)).permute(1, 2, 0)
        painted.append(source.repainted(depth.range.of_model(after, depth.type), depth.range))
    return painted


@dataclass(frozen=True)
class Depth:
    """The type of a picture's values, and their range."""

    type: np.dtype[np.generic]
    range: Range
