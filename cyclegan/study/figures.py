"""Figures of a study: halves of the test pictures, measured checkpoints, and conclusions."""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from cyclegan.data.folders import list_images, look_into
from cyclegan.errors import UserError
from cyclegan.metrics.distances import Progress
from cyclegan.run import FolderDirection
from cyclegan.training.best import Score, merit

Half = Literal["choosing", "reporting"]
HALVES: tuple[Half, Half] = ("choosing", "reporting")


def make_halves(dataroot: Path, folder: Path) -> str:
    """Make `folder`/choosing and /reporting, data sets of links to the pictures of `dataroot`.

    Both hold all training pictures. The digest of a test picture's bytes decides its half, whatever
    its name; twins go with their pictures. Returns the digest of all. Raises UserError where a
    domain has fewer than two different test pictures.
    """
    whole = sha256()
    for half in HALVES:
        shutil.rmtree(folder / half, ignore_errors=True)
    for domain in "AB":
        test = dataroot / f"test{domain}"
        pictures = {sha256(path.read_bytes()).hexdigest(): path for path in list_images(test)}
        if len(pictures) < 2:
            raise UserError(f"{test}: a study needs at least two different pictures")
        for number, digest in enumerate(sorted(pictures)):
            whole.update(digest.encode())
            place, name = folder / HALVES[number % 2], pictures[digest].relative_to(test)
            _link(pictures[digest], place / test.name / name)
            _link_twin(name, dataroot / f"twins{domain}", place)
        for half in HALVES:
            _link(dataroot / f"train{domain}", folder / half / f"train{domain}")
    return whole.hexdigest()[:32]


def _link_twin(name: Path, twins: Path, place: Path) -> None:
    """Link the picture in `twins` of that name, whatever its ending."""
    found = look_into(twins).images if twins.is_dir() else []
    for path in found:
        if path.relative_to(twins).with_suffix("") == name.with_suffix(""):
            _link(path, place / twins.name / path.relative_to(twins))


def _link(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(path.resolve())
    except OSError:  # where links are not to be had, or not by everyone
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, place)


Scores = Mapping[FolderDirection, Score]
SURE = 2.0  # errors by which presets must differ


@dataclass(frozen=True)
class TurnEnd:
    """A run at the end of a turn, with its scores on both halves."""

    seconds: float
    """of training, in all turns so far"""
    images: int
    finished: bool
    choosing: Scores
    reporting: Scores

    def half(self, half: Half) -> Scores:
        """Return the scores on one half."""
        return self.choosing if half == "choosing" else self.reporting


def chosen(run: Sequence[TurnEnd], half: Half, least_ssim: float) -> int:
    """Return the index of the checkpoint with the highest merit on a half."""
    liked = [merit(one.half(half).values(), least_ssim).value for one in run]
    return liked.index(max(liked))


def ended_early(runs: Mapping[str, Sequence[Sequence[TurnEnd]]], minutes: float) -> Iterator[str]:
    """Yield a line for each preset with runs that came to their last epoch before their time."""
    for label, seeds in runs.items():
        ends = [run[-1] for run in seeds if run[-1].finished]
        spent = min((end.seconds / 60 for end in ends), default=minutes)
        if spent < _NEARLY * minutes:
            yield (
                f"{label}: reached its last epoch after {spent:.2g} of {minutes:g} minutes "
                f"({min(end.images for end in ends):,} images): give a larger n_epochs, or "
                "crops_per_image for a small data set, to use all of them"
            )


_NEARLY = 0.9  # of its time, and a run has had it


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, with the error of both the seeds and the pictures."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.error:.2f}"


def estimate(seeds: Sequence[Progress]) -> Estimate:
    """Return the mean; all seeds share the pictures, whose error does not shrink."""
    return Estimate(
        fmean(one.value for one in seeds),
        math.hypot(_spread([one.value for one in seeds]), fmean(one.error for one in seeds)),
    )


def _spread(values: Sequence[float]) -> float:
    """Return the standard error of the mean; 0 for a single value, which has none."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class PresetFigures:
    """Figures that the seeds of a preset report, each at the checkpoint chosen for it."""

    name: str
    progress: dict[FolderDirection, Estimate]
    ssim: dict[FolderDirection, float]
    quality: Estimate
    """mean progress of both directions, less SSIM penalty"""
    best_on_test: Estimate
    """the same with checkpoints chosen on the reported test images, as in papers"""
    images: int
    """seen by the chosen checkpoints, on average"""


def of_preset(name: str, runs: Sequence[Sequence[TurnEnd]], least_ssim: float) -> PresetFigures:
    """Return the figures of the finished seeds of one preset."""
    taken = [run[chosen(run, "choosing", least_ssim)] for run in runs]
    lucky = [run[chosen(run, "reporting", least_ssim)] for run in runs]
    ways = tuple(taken[0].reporting)
    return PresetFigures(
        name,
        {way: estimate([one.reporting[way].progress for one in taken]) for way in ways},
        {way: fmean(one.reporting[way].ssim for one in taken) for way in ways},
        estimate([merit(one.reporting.values(), least_ssim) for one in taken]),
        estimate([merit(one.reporting.values(), least_ssim) for one in lucky]),
        round(fmean(one.images for one in taken)),
    )


@dataclass(frozen=True)
class Difference:
    """Lead of one preset over another, seed by seed."""

    one: str
    other: str
    by: Estimate

    @property
    def verdict(self) -> str:
        """The difference in words: none where it may be chance."""
        if abs(self.by.value) <= SURE * self.by.error:
            return f"{self.one} and {self.other}: no difference ({self.by})"
        ahead = (self.one, self.other) if self.by.value > 0 else (self.other, self.one)
        by = Estimate(abs(self.by.value), self.by.error)
        return f"{ahead[0]} is better than {ahead[1]} by {by}"


def differences(
    runs: Mapping[str, Sequence[Sequence[TurnEnd]]], least_ssim: float
) -> list[Difference]:
    """Return the difference of every two presets, on the reporting half."""
    reported = {
        name: [
            merit(run[chosen(run, "choosing", least_ssim)].reporting.values(), least_ssim)
            for run in seeds
        ]
        for name, seeds in runs.items()
    }
    return [
        Difference(*names, _apart(*map(reported.__getitem__, names)))
        for names in combinations(reported, 2)
    ]


def _apart(one: Sequence[Progress], other: Sequence[Progress]) -> Estimate:
    """Return the difference of two presets, seed by seed.

    The pictures' errors are combined as if they were of different pictures: rather too large.
    """
    pairs = list(zip(one, other, strict=True))
    return estimate([Progress(a.value - b.value, math.hypot(a.error, b.error)) for a, b in pairs])
