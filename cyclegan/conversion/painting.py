"""A picture with all its bits through a generator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cyclegan.conversion.look import Look
from cyclegan.conversion.mask import Place
from cyclegan.conversion.translator import Translator
from cyclegan.device import arriving, ran_out_of_memory, sent
from cyclegan.images.picture import Depth, Picture
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
    picture: Picture, translator: Translator, look: Look, depth: Depth, tell: Tell = silent
) -> Picture:
    """Convert; what comes out has the input's size, transparency and tags.

    `tell` hears which share is done, where it is not computed at once.
    Raises UserError where the generator takes other channels, or memory is not enough.
    """
    whole = paint_together([picture], translator, look, [depth])
    return _in_blocks(picture, translator, look, depth, tell) if whole is None else whole.picture(0)


@dataclass(frozen=True)
class Painting:
    """Pictures of one size, converted in one call; a GPU may still be at work on them."""

    sources: Sequence[Picture]
    depths: Sequence[Depth]
    made: Tensor
    """(N, H, W, C): uint8 where all depths are, else float32 in [-1, 1]"""
    finite: Tensor
    """(N,) of bool"""
    arrive: Callable[[], object]
    """waits until they are there"""
    translator: Translator

    def picture(self, place: int) -> Picture:
        """Wait for one of them, in any thread. Raises UserError where it is not finite."""
        self.arrive()
        self.translator.check_finite(bool(self.finite[place]))
        source, depth, made = self.sources[place], self.depths[place], self.made[place]
        rounded = made.dtype == torch.uint8
        pixels = made.numpy() if rounded else depth.range.of_model(made, depth.type)
        return source.repainted(pixels, depth.range)


@torch.inference_mode()
def paint_together(
    pictures: Sequence[Picture], translator: Translator, look: Look, depths: Sequence[Depth]
) -> Painting | None:
    """Start to convert pictures of one size in one call; None where they are not to be computed so.

    8 bits go to the device and come back as such. Raises UserError where the generator takes other
    channels.
    """
    architecture = translator.generator.architecture
    sources = [picture.with_channels(architecture.input_nc) for picture in pictures]
    shape = Canvas(sources[0]).shape
    if not translator.holds(shape, len(sources)):
        return None
    try:
        before = _on_device(sources, translator.device)
        after = look.of(before, translator.together(before), Place(shape.height, shape.width))
        made = _in_type(after.permute(0, 2, 3, 1), depths)
        finite = after.isfinite().flatten(1).all(1)
    except (MemoryError, RuntimeError) as error:
        if ran_out_of_memory(error):
            return None
        raise
    (made, finite), arrive = arriving(made.contiguous(), finite)
    return Painting(sources, depths, made, finite, arrive, translator)


def _on_device(sources: Sequence[Picture], device: torch.device) -> Tensor:
    """(N, C, H, W), float32 in [-1, 1]; a GPU makes that of 8 bits itself."""
    first, pins = sources[0], device.type == "cuda"
    height, width, channels = first.pixels.shape
    if {(source.pixels.dtype.name, source.range) for source in sources} != {("uint8", first.range)}:
        whole = torch.cat([source.window(0, height, 0, width) for source in sources])
        return sent(whole.pin_memory() if pins else whole, device)
    given = (len(sources), height, width, channels)
    levels = torch.empty(given, dtype=torch.uint8, pin_memory=pins)
    for place, source in zip(levels.numpy(), sources, strict=True):
        place[...] = source.seen()
    planes = sent(levels, device).permute(0, 3, 1, 2)
    return first.range.normalized(planes.to(torch.float32, memory_format=torch.contiguous_format))


def _in_type(after: Tensor, depths: Sequence[Depth]) -> Tensor:
    """8 bits, rounded where they were computed; else float32."""
    first = depths[0]
    if first.type == np.uint8 and all(depth == first for depth in depths):
        return first.range.bytes_of_model(after)
    return after


def _in_blocks(
    picture: Picture, translator: Translator, look: Look, depth: Depth, tell: Tell
) -> Picture:
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
