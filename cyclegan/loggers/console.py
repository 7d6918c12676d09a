"""Console logger: live progress on a terminal, plain lines elsewhere."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cyclegan.errors import format_duration
from cyclegan.logged import Catalogue, Curve
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.logger import Logger, Record, RunInfo
from cyclegan.run import Position

log = logging.getLogger(__name__)


class Speed:
    """Speed of the last minutes' steps, without the first step, which warms up.

    All times that the console shows are computed from this speed.
    """

    def __init__(self) -> None:
        self._reached: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._steps = 0

    def note(self, images: int) -> None:
        """Note the end of a step at `images` images; at most one position a second is kept."""
        now = time.monotonic()
        self._steps += 1
        if self._steps > 2 and now - self._reached[-2][0] < 1.0:
            self._reached.pop()
        self._reached.append((now, images))

    @property
    def images_per_second(self) -> float | None:
        """Images per second; None until a few steps have been measured."""
        if self._steps <= _FIRST_STEPS:
            return None
        (begun, first), (now, last) = self._reached[0], self._reached[-1]
        return (last - first) / max(now - begun, 1e-9)


class ConsoleLogger(Logger):
    """Logger that shows epoch, images, time left, speed and as many losses as fit."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._run_info = run_info
        self._begun = time.monotonic()
        self._position = run_info.start
        self._speed = Speed()
        self._losses: Sequence[str] = ()
        self._warned = False
        self._console = Console(highlight=False)
        self._say(
            f"{run_info.name}: {run_info.images_per_epoch} images per epoch, up to epoch "
            f"{run_info.last_epoch}; output in {run_info.folder}; Ctrl-C saves and stops"
        )
        if "execution" in run_info.environment:
            self._say(f"running in {run_info.environment['execution']}")
        self._live = Live(self, console=self._console)
        if self._console.is_terminal:
            self._live.start()

    def step(self, position: Position) -> None:
        self._position = position
        self._speed.note(position.images)
        self._warn_of_months()

    def record(self, record: Record) -> None:
        self._losses = [
            f"{curve.short} {value:.3f}"
            for curve, value in _curves(record, self._run_info.known)
            if curve.logged.brief
        ]
        if not self._console.is_terminal:
            measured = record.values.get("images_per_second", 0.0)
            self._say("  ".join([*self._progress(measured), *self._losses]))

    def close(self) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield lines for the current width; what does not fit is left out, never truncated."""
        width = options.max_width
        epoch, *others = self._progress()
        room = width - sum(len(_GAP) + len(part) for part in (epoch, *others))
        if room >= _SHORTEST_BAR:
            line = Table.grid(padding=(0, len(_GAP), 0, 0))
            line.add_row(epoch, self._bar(min(room, _LONGEST_BAR)), *others)
            yield line
        else:
            yield from map(Text, _lines([epoch, *others], width))
        yield from map(Text, _lines(self._losses, width)[:_LINES_OF_LOSSES])

    def _progress(self, measured: float = 0.0) -> list[str]:
        """Return epoch, images, time left and speed; `measured` stands in for an unknown speed."""
        speed = self._speed.images_per_second or measured
        return [
            f"epoch {self._position.epoch}/{self._run_info.last_epoch}",
            f"{self._position.images}/{self._run_info.images} images",
            self._left(speed),
            *([f"{speed:{_figures(speed)}} images/s"] if speed else []),
        ]

    def _left(self, speed: float) -> str:
        if self._position.images >= self._run_info.images:
            return f"took {format_duration(time.monotonic() - self._begun)}"
        return (
            f"{format_duration(self._seconds_left(speed))} left" if speed else "measuring the speed"
        )

    def _seconds_left(self, speed: float) -> float:
        return (self._run_info.images - self._position.images) / speed

    def _warn_of_months(self) -> None:
        """Warn once if the run will take months."""
        speed = self._speed.images_per_second
        if self._warned or not speed or self._seconds_left(speed) < _MONTH:
            return
        self._warned = True
        log.warning(
            "this run will take about %s on this machine: a GPU, a smaller --crop_size or --ngf, "
            "or fewer --n_epochs make it shorter",
            format_duration(self._seconds_left(speed)),
        )

    def _bar(self, width: int) -> ProgressBar:
        return ProgressBar(self._run_info.images, self._position.images, width)

    def _say(self, line: str) -> None:
        """Print a line, wrapped between words on a terminal and whole in files."""
        self._console.print(line, markup=False, soft_wrap=not self._console.is_terminal)


def _curves(record: Record, known: Catalogue) -> Iterator[tuple[Curve, float]]:
    return ((Curve.of(name, known), value) for name, value in record.values.items())


def _figures(speed: float) -> str:
    """Return the format of a speed: two significant digits if slow, else two decimals."""
    return ".2f" if speed >= 0.1 else ".2g"


def _lines(parts: Iterable[str], width: int) -> list[str]:
    """Join the parts, each unbroken, into as few lines as possible."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(_GAP) + len(part) <= width:
            lines[-1] += _GAP + part
        else:
            lines.append(part)
    return lines


_GAP = "  "
_SHORTEST_BAR, _LONGEST_BAR = 8, 40  # columns
_LINES_OF_LOSSES = 2
_FIRST_STEPS = 3
_REMEMBERED = 600  # places, one a second: at least ten minutes
_MONTH = 30 * 86400.0
