"""The stylize command: one picture painted like another."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from cyclegan.atomic import check_absent
from cyclegan.device import choose_device, limit_met
from cyclegan.errors import UsageError, UserError, in_words
from cyclegan.images import Encoding, Size
from cyclegan.images.document import depth_to_write, open_document, write_document
from cyclegan.images.formats import WRITABLE, is_written
from cyclegan.images.picture import Document, Picture
from cyclegan.losses import StyleLossSettings
from cyclegan.losses.perceptual import Perceptual
from cyclegan.progress import progress_bar
from cyclegan.stylize import StylizeSettings
from cyclegan.stylize.optimise import BestPicture, StylizeProblem, Watch, fitted
from cyclegan.training.interrupt import StopRequest

FEWEST = 32  # pixels of a painting's shorter side


def read_picture(path: Path, flag: str, values: tuple[float, float] | None = None) -> Picture:
    """Read the one picture of a file, in colour; `values` as for `open_document`.

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
            f"--{flag} {path}: {size[0]}x{size[1]} pixels are too few for the chosen layers, which "
            f"need {smallest} a side: give a larger one, or earlier layers"
        )


def within(size: Size, longest: int) -> Size:
    """Return the size scaled down to `longest` for its longer side; smaller sizes stay."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def as_tensor(picture: Picture) -> Tensor:
    """Return the picture as (1, 3, H, W) in [-1, 1], transparency laid on white."""
    shares = torch.from_numpy(picture.shares()).permute(2, 0, 1)[None]
    return shares.contiguous() * 2 - 1


@dataclass(frozen=True)
class Target:
    """The output file."""

    path: Path
    overwrite: bool

    def check(self, settings: StylizeSettings) -> None:
        """Raise UsageError or UserError where the file can't or should not be written."""
        if not is_written(self.path.suffix.lower()):
            endings = ", ".join(sorted(WRITABLE))
            raise UsageError(f"--output {self.path}: give a file that ends in {endings}")
        if self.path.is_dir():
            raise UsageError(f"--output {self.path}: a folder: give a file")
        if self.path.exists():
            for flag, source in (("content", settings.content), ("style", settings.style)):
                if source.exists() and self.path.samefile(source):
                    raise UsageError(f"--output {self.path}: is --{flag} itself: give another file")
            check_absent(self.path, overwrite=self.overwrite)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(self.path.parent, os.W_OK):
            raise UserError(f"{self.path}: can't be written (no permission in its folder)")

    def write(self, made: Tensor, like: Picture) -> None:
        """Write a painted (1, 3, H, W) in [-1, 1], with the tags and transparency of `like`.

        The file appears under its name whole or never.
        """
        check_absent(self.path, overwrite=self.overwrite)
        depth = depth_to_write(self.path, like)
        pixels = depth.range.of_model(made[0].cpu().permute(1, 2, 0), depth.type)
        picture = like.repainted(pixels, depth.range)
        try:
            write_document(self.path, [picture], Document([picture]), Encoding())
        except OSError as error:
            raise UserError(f"{self.path}: can't be written ({in_words(error)})") from error


def stylize(settings: StylizeSettings) -> int:
    """Paint `settings.content` like `settings.style`; return the exit code.

    A signal ends the painting with the best so far, and an exit code of its own. Raises UserError.
    """
    settings.check()
    target = Target(settings.output, settings.overwrite)
    target.check(settings)
    photo, painting = _pictures(settings)
    device = choose_device(settings.device)
    perceptual = Perceptual.build(settings.perceptual, device)
    check_sides(settings.content, photo.size, "content", perceptual.smallest)
    check_sides(settings.style, painting.size, "style", perceptual.smallest)
    paint = _painting(settings, perceptual)
    with StopRequest() as stop, progress_bar() as bar, _enough_memory(settings):
        sources = as_tensor(photo).to(device), as_tensor(painting).to(device)
        tell = _teller(bar, paint.steps_of(*sources))
        best = paint(*sources, Watch(tell, lambda: stop.signal is not None))
    if not best.losses:
        raise UserError(
            "the losses are NaN or infinite: give smaller --lambda_content or --lambda_style"
        )
    target.write(fitted(best.picture, sources[0]), photo)
    _report(settings, best, sources[0])
    if stop.signal is None:
        return 0
    name = signal.Signals(stop.signal).name
    sys.stderr.write(
        f"cyclegan: stopped by {name}; the best so far is in {settings.output}; the same command "
        "with --overwrite starts over\n"
    )
    return 128 + stop.signal


def _pictures(settings: StylizeSettings) -> tuple[Picture, Picture]:
    """Return both pictures at the sizes at which they are used. Raises UserError."""
    photo = read_picture(settings.content, "content", settings.range)
    painting = read_picture(settings.style, "style", settings.range)
    check_painting(settings.style, painting)
    longest = settings.style_size or settings.size
    return (
        photo.scaled(within(photo.size, settings.size)),
        painting.scaled(within(painting.size, longest)),
    )


def _painting(settings: StylizeSettings, perceptual: Perceptual) -> StylizeProblem:
    weights = StyleLossSettings(
        settings.lambda_content, settings.lambda_style, settings.lambda_tv
    ).term_weights
    return StylizeProblem(
        perceptual,
        weights,
        settings.scales,
        settings.steps,
        settings.method,
        settings.lr,
        settings.start,
        settings.seed,
    )


def _teller(bar: Progress, total: float) -> Callable[[BestPicture, float], None]:
    """Return a callback that shows the losses of the best so far beside the bar."""
    task = bar.add_task("painting", total=total, unit="steps")

    def tell(best: BestPicture, share: float) -> None:
        bar.update(task, advance=share, description=_words(best))

    return tell


def _words(best: BestPicture) -> str:
    height, width = best.picture.shape[2:]
    return f"{width}x{height} {_losses(best)}"


def _losses(best: BestPicture) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in best.losses.items())


@contextmanager
def _enough_memory(settings: StylizeSettings) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        told = limit_met(error, f"give a smaller --size than {settings.size}")
        if told is None:
            raise
        raise UserError(told) from None


def _report(settings: StylizeSettings, best: BestPicture, full: Tensor) -> None:
    console = Console(soft_wrap=True, highlight=False)
    height, width = full.shape[2:]
    early = "" if best.picture.shape == full.shape else f" (reached {_words(best)}, enlarged)"
    console.print(
        f"{settings.output}: {width}x{height}, loss {best.total:.4g} ({_losses(best)}){early}",
        markup=False,
    )
