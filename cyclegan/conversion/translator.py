"""The translator: a trained generator as a function of pictures."""

import logging
import tempfile
from collections import abc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan.classic import Architecture
from cyclegan.conversion import NormStatistics, inputs, weights
from cyclegan.conversion.weights import Generator
from cyclegan.device import choose_device, free_memory, ran_out_of_memory
from cyclegan.errors import UsageError, UserError
from cyclegan.execution import PrecisionChoice, Switch
from cyclegan.execution.choice import choose_for_conversion
from cyclegan.execution.execution import Execution
from cyclegan.images.picture import Array
from cyclegan.recipes.materials import NO_STYLES, Styles
from cyclegan.run import FolderDirection
from cyclegan.runtimes import Provider, Runtime
from cyclegan.tiling import TileMode, Tiling
from cyclegan.tiling.modes import TILES
from cyclegan.tiling.rows import PixelsInMemory, Shape, TiledPicture
from cyclegan.tiling.stream import streams
from cyclegan.tiling.tiles import (
    Block,
    Reflected,
    Tell,
    TileEngine,
    margin,
    padded_side,
    reflected,
    silent,
)

log = logging.getLogger(__name__)


class Translator:
    """A trained generator that converts pictures of any size."""

    def __init__(
        self,
        generator: Generator,
        device: torch.device,
        execution: Execution,
        tiling: Tiling = Tiling(),  # noqa: B008 - frozen
    ) -> None:
        """Prepare the generator's weights for `execution`; they can't be trained any more."""
        self.generator = generator
        self.device = device
        self.execution = execution
        settings = generator.architecture.generator
        self._tile = tiling.tile
        self._broken = _not_finite(generator.network)
        self._engine = TileEngine(
            generator.network,
            execution.prepare_trained(generator.network.to(device)),
            execution,
            device,
            settings.reach if streams(generator.network) else None,
            settings.widest,
            tiling.scratch or Path(tempfile.gettempdir()),
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        direction: FolderDirection | None = None,
        epoch: str | int = "latest",
        device: str = "auto",
        norm_statistics: NormStatistics = "trained",
        precision: PrecisionChoice = "fp32",
        compile: Switch = "off",
        average: bool = True,
        tile: TileMode = "auto",
        runtime: Runtime = "auto",
        provider: Provider = "auto",
        style_mix: str | None = None,
        styles: Styles = NO_STYLES,
        trust_code: bool = False,
    ) -> "Translator":
        """Load a generator from a run's folder, a folder of the classic scripts, or one file.

        The file may be a checkpoint, an exported file, or one of other scripts.

        `direction` "AtoB" or "BtoA" counts by the folders trained on; None is the trained
        direction. `precision` "auto" takes bfloat16 on CPUs and GPUs built for it: pixels differ by
        less than a level. `average` takes the weights averaged over the training's steps, where
        there are any. `tile` says how pictures are computed: "off" at once, "exact" in bands with
        the same result, "fast" or "dense" in tiles; "auto" at once if memory is enough, else
        exactly. `style_mix` "starry=0.7,irises=0.3" names paintings of a model of several; `styles`
        are the pictures that a fusion model takes its style from. `runtime` "torch", "onnxruntime"
        or "openvino" runs an exported file; `provider` "cpu", "cuda" or "tensorrt" is what
        onnxruntime computes by. `trust_code` opens files that are programs too, TorchScript and
        torch.export's: they can do anything here. Raises UserError if there is nothing to load.
        """
        generator = weights.load(
            Path(path),
            direction,
            epoch=str(epoch),
            average=average,
            runtime=runtime,
            provider=provider,
            style_mix=style_mix,
            styles=styles,
            trust_code=trust_code,
        )
        if norm_statistics == "image":
            weights.use_image_statistics(generator.network)
        return cls(generator, *choose_way(generator, device, precision, compile), Tiling(tile))

    @overload
    def __call__(
        self, given: Image.Image | Path | str | bytes | bytearray | memoryview | inputs.File
    ) -> Image.Image: ...
    @overload
    def __call__(self, given: Array) -> Array: ...
    @overload
    def __call__(self, given: Tensor) -> Tensor: ...
    @overload
    def __call__(self, given: Iterable[Any], *, batch_size: int = 1) -> Any: ...
    def __call__(self, given: object, *, batch_size: int = 1) -> Any:
        """Convert a picture of any kind of `inputs.ACCEPTED`; the result is of the same kind.

        The result has the picture's size; for a path, bytes or a file it is a PIL image. For an
        iterable it is an iterator, which converts as it is asked, pictures of equal size
        `batch_size` at a time. Raises TypeError, ValueError and UserError, saying what was given
        and what is taken.
        """
        channels = self.generator.architecture.input_nc
        if not inputs.is_picture(given):
            assert isinstance(given, Iterable)
            return inputs.stream(given, channels, self.convert_batch, batch_size)
        opened = inputs.open_picture(given, channels)
        return opened.close(self.convert_batch(opened.pixels))

    def convert(self, image: Tensor) -> Tensor:
        """Convert (C, H, W) to (C', H, W), both in [-1, 1]; sides are padded by reflection.

        Raises UserError if this machine can't do that.
        """
        channels = self.generator.architecture.output_nc
        converted = torch.empty(channels, *image.shape[1:])
        for block in self.blocks(PixelsInMemory(image)):
            height, width = block.pixels.shape[1:]
            bottom, right = block.top + height, block.left + width
            converted[:, block.top : bottom, block.left : right] = block.pixels
        return converted

    def convert_batch(self, images: Tensor) -> Tensor:
        """Convert (N, C, H, W) to (N, C', H, W), both in [-1, 1], as `convert` up to rounding.

        The images are converted at once if memory is enough, else one after the other. Raises
        UserError as `convert` does.
        """
        if len(images) < 2 or not self.holds(Shape(*images.shape[1:]), len(images)):
            return torch.stack([self.convert(image) for image in images])
        return self._checked(self.together(images.to(self.device)).cpu())

    def holds(self, shape: Shape, count: int) -> bool:
        """Return whether `count` pictures of a shape are to be computed in one call."""
        padded = Shape(shape.channels, padded_side(shape.height), padded_side(shape.width))
        apart = count > 1 and weights.looks_at_batches(self.generator.network)
        return self._tile in ("auto", "off") and not apart and self._fits(padded, count)

    @torch.inference_mode()
    def together(self, images: Tensor) -> Tensor:
        """Convert (N, C, H, W) to (N, C', H, W), both in [-1, 1], on the device and unchecked."""
        height, width = images.shape[2:]
        top, left = margin(height)[0], margin(width)[0]
        made = self._engine.call(reflected(images)).float()
        return made[:, :, top : top + height, left : left + width]

    def blocks(self, picture: TiledPicture, tell: Tell = silent) -> Iterator[Block]:
        """Convert a picture block by block, in bounded memory if it is large.

        `tell` is called with the share done, unless all is computed at once. Raises UserError if
        this machine can't do that, or the output is not finite.
        """
        shape = picture.shape
        above, before = margin(shape.height)[0], margin(shape.width)[0]
        for block in self._padded(Reflected.of(picture), tell):
            top, left = block.top - above, block.left - before
            skipped, passed = max(0, -top), max(0, -left)
            kept = block.pixels[:, skipped : shape.height - top, passed : shape.width - left]
            if kept.numel():
                yield Block(top + skipped, left + passed, self._checked(kept))

    @property
    def tiles(self) -> bool:
        """True if pictures can be computed in parts; else the whole one is seen at once."""
        return self._engine.reach is not None

    def check_weights(self) -> None:
        """Raise UserError if the generator's weights are NaN or infinite."""
        if self._broken is not None:
            raise UserError(
                f"{self.generator.origin}: its weights are NaN or infinite ({self._broken}), so "
                "nothing can be converted with it: give another --epoch, or another file"
            )

    def _checked(self, made: Tensor) -> Tensor:
        """Return the generator's output, in [-1, 1]. Raises UserError if it is not finite.

        NaN would become black and infinite weights white, and nobody would be told.
        """
        self.check_finite(bool(made.isfinite().all()))
        return made

    def check_finite(self, finite: bool) -> None:
        """Raise UserError, saying what may help, unless the generator's output is `finite`."""
        self.check_weights()
        if finite:
            return
        precision = self.execution.precision
        way_out = "" if precision == "fp32" else f" in {precision}: give --precision fp32"
        raise UserError(f"the generator's output for this picture is NaN or infinite{way_out}")

    @torch.inference_mode()
    def _padded(self, picture: Reflected, tell: Tell) -> Iterator[Block]:
        tile = self._tile
        if tile == "auto":
            tile = "off" if self._fits(picture.shape) or self._engine.reach is None else "exact"
        if tile != "off" and self._engine.reach is None:
            raise UserError(
                f"--tile {tile}: this generator needs the whole picture at once (as transformers, "
                "fusion models and exported files do): scale down with --load_size"
            )
        if tile == "off" and not self._fits(picture.shape):
            raise UserError(self._too_large(picture.shape, tile))
        met = yield from self._within_memory(tile, picture, tell)
        if met and self._tile == "auto" and tile == "off" and self._engine.reach is not None:
            log.warning(
                "%dx%d: out of memory, continuing in bands",
                picture.shape.width,
                picture.shape.height,
            )
            tile = "exact"
            met = yield from self._within_memory(tile, picture, tell)
        if met:
            raise UserError(self._too_large(picture.shape, tile))

    def _within_memory(
        self, tile: TileMode, picture: Reflected, tell: Tell
    ) -> abc.Generator[Block, None, bool]:
        """Yield the blocks; return whether memory ran out. What was computed is freed by then."""
        try:
            yield from TILES[tile](picture, self._engine, tell)
        except (MemoryError, RuntimeError) as error:
            if not ran_out_of_memory(error):
                raise
            return True
        return False

    def _fits(self, shape: Shape, count: int = 1) -> bool:
        needed = estimated_bytes(self.generator.architecture, shape.width, shape.height)
        return count * needed <= free_memory(self.device)

    def _too_large(self, shape: Shape, tile: TileMode) -> str:
        needed = estimated_bytes(self.generator.architecture, shape.width, shape.height)
        tiles = self._engine.reach is not None and tile != "exact"
        way_out = "--tile exact needs little, or " if tiles else ""
        return (
            f"{shape.width}x{shape.height} pixels need about {needed / 2**30:.1f} GiB of memory, "
            f"{free_memory(self.device) / 2**30:.1f} GiB are free: {way_out}"
            "scale down with --load_size"
        )


def choose_way(
    generator: Generator,
    device: str,
    precision: PrecisionChoice,
    compile: Switch,
    pixels: int = 0,
) -> tuple[torch.device, Execution]:
    """Return the device and the execution that compute `generator`.

    `pixels` is the number of pixels to come in images of one size or two. Raises UsageError if this
    machine has no such device, or an exported file no such choice.
    """
    if not generator.fixed:
        where = choose_device(device)
        network, channels = generator.network, generator.architecture.input_nc
        return where, choose_for_conversion(network, channels, precision, compile, pixels, where)
    asked = {"device": device, "precision": precision, "compile": compile}
    for flag, value in asked.items():
        if value not in ("auto", "cpu", "fp32", "off"):
            raise UsageError(
                f"--{flag} {value}: {generator.origin} is an exported file, which runs as is on "
                "the CPU: leave the flag out"
            )
    return torch.device("cpu"), Execution()


def estimated_bytes(architecture: Architecture, width: int, height: int) -> int:
    """Return the peak memory of converting a picture of that size, in bytes."""
    pixels = padded_side(width) * padded_side(height)
    channels = (architecture.input_nc, architecture.output_nc)
    return int(pixels * architecture.generator.bytes_per_pixel(*channels))


def _not_finite(network: nn.Module) -> str | None:
    """Return the name of the first weights that hold NaN or infinity, if any do."""
    weights = network.state_dict().items()
    return next((name for name, values in weights if not bool(values.isfinite().all())), None)
