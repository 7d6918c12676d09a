"""Health checks of a training by its logged values, and the HTML panels that show its state.

A rule looks at the latest records and says what is wrong and what to do, or nothing. `RULES` is the
one table of rules.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from statistics import fmean
from types import MappingProxyType

from cyclegan.errors import format_duration
from cyclegan.logged import Catalogue, Curve
from cyclegan.loggers.logger import Record, RunInfo
from cyclegan.run import Position

LONG = 50  # records that a state must last to be called long
MEASURED = 2  # measurements that must agree
LATE = 0.5  # of a run
ENOUGH = 5  # records below which nothing is said but NaN
ROLLBACKS = "rollbacks"  # logged by runs that went back to a checkpoint


class Recent:
    """Latest records of a run, and the loss at which a discriminator only guesses.

    `planned` is the number of images that the run will have seen at its end.
    """

    def __init__(
        self,
        guessing: float | None = None,
        records: Iterable[Record] = (),
        planned: int | None = None,
        known: Catalogue = MappingProxyType({}),
    ) -> None:
        self.guessing = guessing
        self._known = known
        self._planned = planned
        self._records: deque[Record] = deque(maxlen=LONG)
        self._measured: deque[Record] = deque(maxlen=MEASURED)
        self._rollbacks = 0.0
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Add the newest record; the oldest is dropped, and all measured before a rollback."""
        if self._records and record.values.get(ROLLBACKS, 0.0) > self._rollbacks:
            self._measured.clear()
        self._rollbacks = record.values.get(ROLLBACKS, 0.0)
        self._records.append(record)
        if "quality" in record.values:
            self._measured.append(record)

    def label(self, name: str) -> str:
        """Return the label of a logged value."""
        return Curve.of(name, self._known).label

    def __len__(self) -> int:
        return len(self._records)

    @property
    def late(self) -> bool:
        """True once the run has come so far that its pictures should show something."""
        if self._planned is None or not self._records:
            return False
        return self._records[-1].position.images >= LATE * self._planned

    def names(self, start: str = "") -> list[str]:
        """Return the recently logged names that begin with `start`."""
        found = dict.fromkeys(name for record in self._records for name in record.values)
        return sorted(name for name in found if name.startswith(start))

    def last(self, name: str, count: int) -> list[float]:
        """Return the latest `count` values of a name; an empty list if there are fewer."""
        return _last(self._records, name, count)

    def measured(self, name: str, count: int = 1) -> list[float]:
        """Return the latest `count` values of a measured name, however many records ago.

        An empty list if there are fewer.
        """
        return _last(self._measured, name, count)

    def speed(self) -> float:
        """Return the recent images per second; 0 while unknown."""
        values = [record.values.get("images_per_second", 0.0) for record in self._records]
        known = [value for value in values if value][-10:]
        return fmean(known) if known else 0.0

    def broken(self) -> tuple[int, list[str]]:
        """Return the images at the newest record and its names whose values are NaN or infinite."""
        if not self._records:
            return 0, []
        newest = self._records[-1]
        names = [name for name, value in newest.values.items() if not math.isfinite(value)]
        return newest.position.images, names


def _last(records: Iterable[Record], name: str, count: int) -> list[float]:
    values = [record.values[name] for record in records if name in record.values]
    return values[-count:] if len(values) >= count else []


Rule = Callable[[Recent], Iterator[str]]


def not_a_number(recent: Recent) -> Iterator[str]:
    """Report losses that are NaN or infinite, which stop the training."""
    images, names = recent.broken()
    if names:
        yield (
            f"{', '.join(map(recent.label, names))}: NaN or infinite after {images:,} images. "
            "Training has stopped; resume with --continue_train and a smaller --lr."
        )


def rolled_back(recent: Recent) -> Iterator[str]:
    """Report that the training diverged and went on from a checkpoint."""
    times = recent.last(ROLLBACKS, 1)
    if times:
        yield (
            f"The training diverged and was rolled back to a checkpoint, {times[0]:.0f} "
            f"time{'s' * (times[0] > 1)} so far; it continues at a lower learning rate. A smaller "
            "--lr from the start saves the time."
        )


def discriminator_wins(recent: Recent) -> Iterator[str]:
    """Report a discriminator that has long told all fakes: its generator learns little from it."""
    for name, mean in _discriminators(recent):
        if recent.guessing is not None and mean < 0.1 * recent.guessing:
            yield (
                f"The {recent.label(name)} has been winning for a long time (loss {mean:.3f}): its "
                "generator learns little from it. More images or augmentation help, or a smaller "
                "--ndf."
            )


def discriminator_loses(recent: Recent) -> Iterator[str]:
    """Report a discriminator that has long failed to tell fakes: its generator is told nothing."""
    for name, mean in _discriminators(recent):
        if recent.guessing is not None and mean > 1.05 * recent.guessing:
            yield (
                f"The {recent.label(name)} has been losing for a long time (loss {mean:.3f}, "
                f"chance level {recent.guessing:.2f}): the pictures may drift. A smaller --lr "
                "helps."
            )


def outputs_collapse(recent: Recent) -> Iterator[str]:
    """Report fakes of different images that are nearly the same image."""
    for name in recent.names("diversity_"):
        values = recent.last(name, 2)
        if values and max(values) < 0.1:
            yield (
                f"{_arrow(name)}: mode collapse: all held-out images become nearly the same "
                f"picture ({max(values):.0%} of their differences are left). Go back to an "
                "earlier checkpoint, with a larger --lambda_A and --lambda_B."
            )


def colours_invert(recent: Recent) -> Iterator[str]:
    """Report fakes that are dark where their inputs are light."""
    for name in recent.names("light_agreement_"):
        values = recent.last(name, 2)
        if values and max(values) < -0.3:
            yield (
                f"{_arrow(name)}: light and dark are inverted against the input (correlation "
                f"{fmean(values):.2f}). Start again with --lambda_identity 0.5 or more, or another "
                "--seed: this rarely recovers by itself."
            )


def worse_than_nothing(recent: Recent) -> Iterator[str]:
    """Report late in a run that fakes are surely further from the target than their inputs."""
    for name, values, errors in _progress(recent):
        if recent.late and all(map(_below(0.0), values, errors)):
            yield (
                f"{_arrow(name)}: the conversions are worse than the unconverted input: less like "
                f"the other domain (progress {values[-1]:.2f} ± {errors[-1]:.2f}; 0 is the "
                "input). A longer run may fix it, --epoch best converts with the best "
                "checkpoint; else another preset, or more images."
            )


def does_nothing(recent: Recent) -> Iterator[str]:
    """Report late in a run that pictures come out as they went in."""
    for name, values, errors in _progress(recent):
        kept = recent.measured(name.replace("progress", "ssim"), MEASURED)
        if recent.late and kept and min(kept) > 0.9 and all(map(_below(0.25), values, errors)):
            yield (
                f"{_arrow(name)}: the generator changes almost nothing: its outputs look like "
                f"their inputs (SSIM to the input {kept[-1]:.2f}, progress {values[-1]:.2f} ± "
                f"{errors[-1]:.2f}). A smaller --lambda_A, --lambda_B and --lambda_identity, or "
                "--no-residual, lets them change."
            )


def quality_falls(recent: Recent) -> Iterator[str]:
    """Report that the newest measurement is clearly worse than the best one."""
    now, best, error = (
        recent.measured(name) for name in ("quality", "quality_best", "quality_error")
    )
    if now and best and error and best[0] - now[0] > 3 * error[0]:
        yield (
            f"The pictures were better before: progress {now[0]:.2f} now, {best[0]:.2f} at best "
            "(higher is better). --epoch best converts with that checkpoint; --patience 5 ends a "
            "run by itself."
        )


def images_come_slowly(recent: Recent) -> Iterator[str]:
    """Report that training steps wait for the loader."""
    values = recent.last("waiting_for_images", ENOUGH)
    if values and fmean(values) > 0.3:
        yield (
            f"The GPU (or CPU) waits for images, {fmean(values):.0%} of the time: raise "
            "--num_threads, or downscale the images beforehand."
        )


#: The one table of rules; what is worst comes first.
RULES: tuple[Rule, ...] = (
    not_a_number,
    rolled_back,
    outputs_collapse,
    colours_invert,
    discriminator_wins,
    discriminator_loses,
    worse_than_nothing,
    does_nothing,
    quality_falls,
    images_come_slowly,
)


def complaints(recent: Recent) -> list[str]:
    """Return the complaints of all rules."""
    return [text for rule in RULES for text in rule(recent)]


def verdict(recent: Recent) -> str:
    """Return the line for a run without complaints."""
    if len(recent) < ENOUGH:
        return "Too early to tell."
    if len(recent) < LONG:
        return "Nothing wrong so far."
    return f"Nothing wrong in the last {LONG} records."


def _discriminators(recent: Recent) -> Iterator[tuple[str, float]]:
    """Yield the name and long-term mean loss of each discriminator."""
    for name in recent.names("discriminator_"):
        values = recent.last(name, LONG)
        if values and all(map(math.isfinite, values)):
            yield name, fmean(values)


def _progress(recent: Recent) -> Iterator[tuple[str, list[float], list[float]]]:
    """Yield the name, the last two measurements and their errors of each direction."""
    for name in ("progress_a_to_b", "progress_b_to_a"):
        values = recent.measured(name, MEASURED)
        errors = recent.measured(name.replace("progress", "progress_error"), MEASURED)
        if values and errors:
            yield name, values, errors


def _below(level: float) -> Callable[[float, float], bool]:
    """Return a test of whether a value plus two standard errors is below `level`."""
    return lambda value, error: value + 2 * error < level


def _arrow(name: str) -> str:
    return Curve.of(name, {}).label.split(" ")[-1]


def health_panel(recent: Recent) -> str:
    """Return the complaints as HTML, or that nothing is wrong."""
    wrong = complaints(recent)
    if not wrong:
        return _point("#2a9d5c", verdict(recent))
    return "".join(_point("#d1495b", text) for text in wrong)


def progress_panel(run_info: RunInfo, reached: Position, seconds: float, speed: float) -> str:
    """Return as HTML how far the run is and how long it takes; `speed` is in images per second."""
    images, epoch = reached.images, reached.epoch
    share = min(1.0, images / max(1, run_info.images))
    left = format_duration((run_info.images - images) / speed) if speed > 0 else "not known yet"
    bar = (
        '<div style="background:#e4e4e4;border-radius:4px;height:10px;margin:2px 0 10px">'
        f'<div style="background:#3a6ea5;border-radius:4px;height:10px;width:{share:.1%}"></div>'
        "</div>"
    )
    rows = {
        "epoch": f"{min(epoch, run_info.last_epoch)} of {run_info.last_epoch}",
        "images": f"{images:,} of {run_info.images:,} ({share:.0%})",
        "time spent": format_duration(seconds),
        "time left": left,
        "speed": f"{speed:.2f} images/s" if speed > 0 else "not known yet",
    }
    return bar + table_panel(rows)


def settings_panel(run_info: RunInfo) -> str:
    """Return as HTML the settings that differ from their defaults, and the run's environment."""
    if not run_info.settings:
        return "<p>All settings have their defaults.</p>" + table_panel(run_info.environment)
    return (
        table_panel(run_info.settings)
        + "<hr style='margin:8px 0'>"
        + table_panel(run_info.environment)
    )


def table_panel(rows: Mapping[str, str]) -> str:
    """Return an HTML table of two columns: names and values."""
    cells = "".join(
        f"<tr><td style='padding-right:1em;color:#666;vertical-align:top'>{escape(name)}</td>"
        f"<td style='overflow-wrap:anywhere'>{escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table style='font-size:13px'>{cells}</table>"


def _point(colour: str, text: str) -> str:
    return (
        "<p style='font-size:14px;margin:0 0 8px;padding-left:18px;text-indent:-18px'>"
        f"<span style='color:{colour}'>●</span>&nbsp; {escape(text)}</p>"
    )
