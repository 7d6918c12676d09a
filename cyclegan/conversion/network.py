"""The network stage of a conversion: pictures with all their bits through a generator."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan.conversion import Locations, Selection
from cyclegan.conversion.blend import Blend, BlockPosition
from cyclegan.conversion.files import Job, plan
from cyclegan.conversion.reader import Read, SizeAdvice, naming, scaled
from cyclegan.conversion.stages import ahead
from cyclegan.conversion.translator import Translator
from cyclegan.device import arriving, ran_out_of_memory, sent
from cyclegan.images import Encoding
from cyclegan.images.document import check_holds, depth_to_write, open_document, write_document
from cyclegan.images.picture import Document, Picture, PixelDepth
from cyclegan.tiling.rows import Shape
from cyclegan.tiling.tiles import Tell, silent

#: Shows one picture, by its name, and what hears which share of it is done.
Shown = Callable[[str], AbstractContextManager[Tell]]


@dataclass(frozen=True)
class Made:
    """The converted pictures of a job, ready to be written."""

    job: Job
    document: Document
    """what was read"""
    pictures: dict[str, Iterable[Picture]]
    """by the folder within the output that they go to; "" last"""
    size: tuple[int, int]
    """width and height; 0 of a file of several"""
    seconds: float
    """spent on making them so far"""


@dataclass(frozen=True)
class _Begun:
    """A file whose picture is being computed, or is still to be."""

    read: Read
    painted: Callable[[], Picture] | None = None
    """waits for its picture, if a call that includes it was started"""
    seconds: float = 0.0
    """that this took; on a GPU, the time to launch it"""


@dataclass(frozen=True)
class Network:
    """The second stage of a conversion: the generator's pictures, as far as they are taken over."""

    translator: Translator
    blend: Blend
    advice: SizeAdvice
    thread: Executor
    """computes a multi-page file while the previous picture is written"""
    also: Sequence[str] = ()
    """additional outputs, by name"""
    back: Translator | None = None
    """the other generator, where that needs it"""

    def convert(
        self, group: Sequence[Read], shown: Shown, fail: Callable[[Job, Exception], object]
    ) -> list[Made]:
        """Convert files whose single pictures are alike, or one file of several pictures.

        `fail` is called for each job that can't be converted.
        """
        made = []
        for begun in self._begun(group):
            try:
                made.append(self._make(begun, shown))
            except Exception as error:  # codecs raise nearly every kind
                fail(begun.read.job, error)
        return made

    def _begun(self, group: Sequence[Read]) -> Sequence[_Begun]:
        """Begin a group's pictures in one call; on the CPU, a single picture waits for its bar."""
        alone = [_Begun(read) for read in group]
        if len(group) == 1 and (
            group[0].document.count > 1 or self.translator.device.type == "cpu"
        ):
            return alone
        begun = time.perf_counter()
        try:
            made = self._together(group)
        except Exception:  # is told of each by its name
            return alone
        if made is None:
            return alone
        seconds = (time.perf_counter() - begun) / len(group)
        return [
            _Begun(read, partial(made.picture, place), seconds) for place, read in enumerate(group)
        ]

    def _together(self, group: Sequence[Read]) -> "PaintedBatch | None":
        for read in group:
            self.advice.look_at(read.job.source, read.only.size)
        depths = [depth_to_write(read.job.target, read.only) for read in group]
        return paint_together([read.only for read in group], self.translator, self.blend, depths)

    def _make(self, begun: _Begun, shown: Shown) -> Made:
        job, document = begun.read.job, begun.read.document
        check_holds(job.target, document)
        since = time.perf_counter()
        make = partial(self._paint, job, shown)
        pictures: dict[str, Iterable[Picture]]
        if document.count > 1 and not self.also:
            pictures, size = {"": self._computed(map(make, document.pictures))}, (0, 0)
        elif begun.painted and not self.also:
            pictures, size = {"": _arriving(begun)}, begun.read.only.size
        else:
            document = replace(document, pictures=list(document.pictures))
            coming = _arriving(begun) if begun.painted else map(make, document.pictures)
            done = list(coming)
            both = list(zip(document.pictures, done, strict=True))
            pictures = {kind: [self._also(kind, *one) for one in both] for kind in self.also}
            pictures[""], size = done, done[0].size
        return Made(job, document, pictures, size, begun.seconds + time.perf_counter() - since)

    def _computed(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """Yield the pictures, computing the next one meanwhile."""
        try:
            yield from ahead(pictures, self.thread)
        finally:  # where the last one could not be written, the next is not to go on alone
            self.thread.submit(lambda: None).result()

    def _paint(self, job: Job, shown: Shown, picture: Picture) -> Picture:
        with naming(job.source):
            self.advice.look_at(job.source, picture.size)
            depth = depth_to_write(job.target, picture)
            width, height = picture.size
            with shown(f"{job.name.name} {width}x{height}") as tell:
                return paint(picture, self.translator, self.blend, depth, tell)

    def _also(self, kind: str, before: Picture, after: Picture) -> Picture:
        assert self.back is not None
        source = after if kind == "cycled" else before.scaled(after.size)
        return paint(source, self.back, Blend(), after.depth)


def _arriving(begun: _Begun) -> Iterator[Picture]:
    """Yield the picture of a call that was begun, waiting for it only when asked."""
    assert begun.painted is not None
    with naming(begun.read.job.source):
        picture = begun.painted()
    yield picture


def convert_file(
    source: Path, folder: Path, translator: Translator, blend: Blend, load_size: int | None = None
) -> Path:
    """Convert one file into `folder`, to what `cyclegan convert` makes of it; return its path.

    `load_size` is in pixels of the shorter side. Raises UserError.
    """
    architecture = translator.generator.architecture
    blend.check(architecture.input_nc, architecture.output_nc)
    (job,) = plan(Locations(source, folder), Selection())
    document = open_document(source, translator.generator.values)
    check_holds(job.target, document)

    def painted() -> Iterator[Picture]:
        for picture in document.pictures:
            small = picture.scaled(scaled(picture.size, load_size))
            yield paint(small, translator, blend, depth_to_write(job.target, small))

    write_document(job.target, painted(), document, Encoding())
    return job.target


@dataclass(frozen=True)
class Canvas:
    """A picture as tiling asks for it."""

    picture: Picture

    @property
    def shape(self) -> Shape:
        """Shape of the pixels."""
        height, width, channels = self.picture.pixels.shape
        return Shape(channels, height, width)

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Return a window as (1, C, bottom - top, right - left), float32 in [-1, 1]."""
        return self.picture.window(top, bottom, left, right)


def paint(
    picture: Picture, translator: Translator, blend: Blend, depth: PixelDepth, tell: Tell = silent
) -> Picture:
    """Convert a picture; the result has the input's size, transparency and tags.

    `tell` is called with the share done, unless all is computed at once. Raises UserError if the
    generator takes other channels, or memory is not enough.
    """
    whole = paint_together([picture], translator, blend, [depth])
    return (
        _in_blocks(picture, translator, blend, depth, tell) if whole is None else whole.picture(0)
    )


@dataclass(frozen=True)
class PaintedBatch:
    """Pictures of one size, converted in one call; a GPU may still be at work on them."""

    sources: Sequence[Picture]
    depths: Sequence[PixelDepth]
    made: Tensor
    """(N, H, W, C): uint8 where all depths are, else float32 in [-1, 1]"""
    finite: Tensor
    """(N,) of bool"""
    arrive: Callable[[], object]
    """waits until they are there"""
    translator: Translator

    def picture(self, place: int) -> Picture:
        """Wait for one of the pictures, in any thread. Raises UserError if it is not finite."""
        self.arrive()
        self.translator.check_finite(bool(self.finite[place]))
        source, depth, made = self.sources[place], self.depths[place], self.made[place]
        rounded = made.dtype == torch.uint8
        pixels = made.numpy() if rounded else depth.range.of_model(made, depth.type)
        return source.repainted(pixels, depth.range)


@torch.inference_mode()
def paint_together(
    pictures: Sequence[Picture], translator: Translator, blend: Blend, depths: Sequence[PixelDepth]
) -> PaintedBatch | None:
    """Start to convert pictures of one size in one call; return None if that is not to be done.

    8-bit values go to the device and come back as such. Raises UserError if the generator takes
    other channels.
    """
    architecture = translator.generator.architecture
    sources = [picture.with_channels(architecture.input_nc) for picture in pictures]
    shape = Canvas(sources[0]).shape
    if not translator.holds(shape, len(sources)):
        return None
    try:
        before = _on_device(sources, translator.device)
        after = blend.of(
            before, translator.together(before), BlockPosition(shape.height, shape.width)
        )
        made = _in_type(after.permute(0, 2, 3, 1), depths)
        finite = after.isfinite().flatten(1).all(1)
    except (MemoryError, RuntimeError) as error:
        if ran_out_of_memory(error):
            return None
        raise
    (made, finite), arrive = arriving(made.contiguous(), finite)
    return PaintedBatch(sources, depths, made, finite, arrive, translator)


def _on_device(sources: Sequence[Picture], device: torch.device) -> Tensor:
    """Return the pictures as (N, C, H, W), float32 in [-1, 1]; a GPU converts 8 bits itself."""
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


def _in_type(after: Tensor, depths: Sequence[PixelDepth]) -> Tensor:
    """Return 8-bit values, rounded where they were computed, if all depths are so; else float32."""
    first = depths[0]
    if first.type == np.uint8 and all(depth == first for depth in depths):
        return first.range.bytes_of_model(after)
    return after


def _in_blocks(
    picture: Picture, translator: Translator, blend: Blend, depth: PixelDepth, tell: Tell
) -> Picture:
    architecture = translator.generator.architecture
    source = Canvas(picture.with_channels(architecture.input_nc))
    height, width = picture.pixels.shape[:2]
    made = np.empty((height, width, architecture.output_nc), depth.type)
    for block in translator.blocks(source, tell):
        bottom, right = block.top + block.pixels.shape[1], block.left + block.pixels.shape[2]
        before = source.window(block.top, bottom, block.left, right)[0]
        place = BlockPosition(height, width, block.top, block.left)
        after = blend.of(before, block.pixels, place).permute(1, 2, 0)
        made[block.top : bottom, block.left : right] = depth.range.of_model(after, depth.type)
    return source.picture.repainted(made, depth.range)
