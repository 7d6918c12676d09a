"""What the logged values say about a training's health, in plain words.

A rule looks at the latest records and says what is wrong and what to do, or nothing. `RULES` is the
one table of them.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from statistics import fmean

from cyclegan.loggers.curves import label
from cyclegan.loggers.record import Record

LONG = 50  # records that a state must last to be called long
ENOUGH = 5  # records below which nothing is said but NaN


class Recent:
    """The latest records of a run, and the level at which a discriminator only guesses."""

    def __init__(self, guessing: float | None = None, records: Iterable[Record] = ()) -> None:
        self.guessing = guessing
        self._records = deque(records, maxlen=LONG)

    def add(self, record: Record) -> None:
        """The newest record; the oldest is forgotten."""
        self._records.append(record)

    def __len__(self) -> int:
        return len(self._records)

    def names(self, start: str = "") -> list[str]:
        """Names that were logged lately."""
        found = dict.fromkeys(name for record in self._records for name in record.values)
        return sorted(name for name in found if name.startswith(start))

    def last(self, name: str, count: int) -> list[float]:
        """The latest `count` values of a name, or none at all where there are fewer."""
        values = [record.values[name] for record in self._records if name in record.values]
        return values[-count:] if len(values) >= count else []

    def speed(self) -> float:
        """Images per second of late; 0 while that is not known."""
        values = [record.values.get("images_per_second", 0.0) for record in self._records]
        known = [value for value in values if value][-10:]
        return fmean(known) if known else 0.0

    def broken(self) -> tuple[int, list[str]]:
        """Images at the newest record, and the names that are NaN or infinite there."""
        if not self._records:
            return 0, []
        newest = self._records[-1]
        names = [name for name, value in newest.values.items() if not math.isfinite(value)]
        return newest.position.images, names


Rule = Callable[[Recent], Iterator[str]]


def not_a_number(recent: Recent) -> Iterator[str]:
    """A loss is NaN or infinite: training has stopped."""
    images, names = recent.broken()
    if names:
        yield (
            f"{', '.join(label(name) for name in names)}: NaN or infinite after {images:,} images. "
            "Training has stopped; go on with --continue_train and a smaller --lr."
        )


def discriminator_wins(recent: Recent) -> Iterator[str]:
    """A discriminator tells all fakes for long: its generator has little to learn from."""
    for name, mean in _discriminators(recent):
        if recent.guessing is not None and mean < 0.1 * recent.guessing:
            yield (
                f"The {label(name)} has been winning for long (loss {mean:.3f}): its generator "
                "learns little from it. More images or augmentation help, or a smaller --ndf."
            )


def discriminator_loses(recent: Recent) -> Iterator[str]:
    """A discriminator can't tell fakes for long: its generator is told nothing."""
    for name, mean in _discriminators(recent):
        if recent.guessing is not None and mean > 1.05 * recent.guessing:
            yield (
                f"The {label(name)} has been losing for long (loss {mean:.3f}, guessing is "
                f"{recent.guessing:.2f}): the pictures may drift. A smaller --lr helps."
            )


def outputs_collapse(recent: Recent) -> Iterator[str]:
    """The fakes of different images are nearly one image."""
    for name in recent.names("diversity_"):
        values = recent.last(name, 2)
        if values and max(values) < 0.1:
            yield (
                f"{_arrow(name)}: all held-out images become nearly the same picture "
                f"({max(values):.0%} of their differences are left). Go back to an earlier "
                "checkpoint, with a larger --lambda_A and --lambda_B."
            )


def colours_invert(recent: Recent) -> Iterator[str]:
    """What is light in the input is dark in the fake."""
    for name in recent.names("light_agreement_"):
        values = recent.last(name, 2)
        if values and max(values) < -0.3:
            yield (
                f"{_arrow(name)}: light and dark are inverted against the input "
                f"(correlation {fmean(values):.2f}). Start again with --lambda_identity 0.5 or "
                "more, or another --seed: this rarely mends itself."
            )


def quality_falls(recent: Recent) -> Iterator[str]:
    """The newest measurement is clearly worse than the best one."""
    kids = [values[-1] for name in ("kid_a_to_b", "kid_b_to_a") if (values := recent.last(name, 1))]
    best, error = recent.last("kid_best", 1), recent.last("kid_error", 1)
    if kids and best and error and fmean(kids) - best[0] > 3 * error[0]:
        yield (
            f"The pictures were better before: KID {fmean(kids):.3f} now, {best[0]:.3f} at best "
            "(lower is better). --epoch best converts with that checkpoint; --patience 5 ends a "
            "run by itself."
        )


def images_come_slowly(recent: Recent) -> Iterator[str]:
    """The step waits for the loader."""
    values = recent.last("waiting_for_images", ENOUGH)
    if values and fmean(values) > 0.3:
        yield (
            f"The GPU (or CPU) waits for images, {fmean(values):.0%} of the time: raise "
            "--num_threads, or make smaller copies of the images."
        )


#: The one table of rules; what is worst comes first.
RULES: tuple[Rule, ...] = (
    not_a_number,
    outputs_collapse,
    colours_invert,
    discriminator_wins,
    discriminator_loses,
    quality_falls,
    images_come_slowly,
)


def complaints(recent: Recent) -> list[str]:
    """What all rules say."""
    return [text for rule in RULES for text in rule(recent)]


def verdict(recent: Recent) -> str:
    """The one line for a run that nothing is wrong with."""
    if len(recent) < ENOUGH:
        return "Too early to tell."
    if len(recent) < LONG:
        return "Nothing wrong so far."
    return f"Nothing wrong in the last {LONG} records."


def _discriminators(recent: Recent) -> Iterator[tuple[str, float]]:
    """Every discriminator's mean loss over a long time."""
    for name in recent.names("discriminator_"):
        values = recent.last(name, LONG)
        if values and all(map(math.isfinite, values)):
            yield name, fmean(values)


def _arrow(name: str) -> str:
    return label(name).split(" ")[-1]
