"""Paints one picture like another one."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from cyclegan.device import choose_device, limit_met
from cyclegan.errors import UserError
from cyclegan.images.picture import Picture
from cyclegan.losses import StyleLossSettings
from cyclegan.losses.perceptual.look import Perceptual
from cyclegan.progress import progress_bar
from cyclegan.stylize import StylizeSettings
from cyclegan.stylize.optimise import BestPicture, Watch
from cyclegan.stylize.painting import StylizeProblem, fitted
from cyclegan.stylize.pictures import (
    Target,
    as_tensor,
    check_painting,
    check_sides,
    read_picture,
    within,
)
from cyclegan.training.interrupt import StopRequest


def stylize(settings: StylizeSettings) -> int:
    """Paint `settings.content` like `settings.style`; return the exit code.

    A signal ends it with the best so far, and an exit code of its own. Raises UserError.
    """
    settings.check()
    target = Target(settings.output)
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
            "the losses are no numbers: give smaller --lambda_content or --lambda_style"
        )
    target.write(fitted(best.picture, sources[0]), photo)
    _report(settings, best, sources[0])
    if stop.signal is None:
        return 0
    name = signal.Signals(stop.signal).name
    sys.stderr.write(
        f"cyclegan: stopped by {name}; the best so far is in {settings.output}; "
        "the same command with --overwrite begins again\n"
    )
    return 128 + stop.signal


def _pictures(settings: StylizeSettings) -> tuple[Picture, Picture]:
    """Both at the sizes that they are looked at. Raises UserError."""
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
    """What shows the best so far beside the bar."""
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
