"""The figures of a study: what was measured of every checkpoint, and what follows from it."""

import math
import shutil
from collections.abc import Mapping, Sequence
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

    The training pictures are all in both. Which half a test picture is in is said by the digest of
    its bytes, whatever it is called; twins go with their pictures. Return the digest of them all.
    Raises UserError where there are no test pictures.
    """
    whole = sha256()
    for half in HALVES:
        shutil.rmtree(folder / half, ignore_errors=True)
    for domain in "AB":
        test = dataroot / f"test{domain}"
        pictures = {sha256(path.read_bytes()).hexdigest(): path for path in list_images(test)}
        if len(pictures) < 2:
            raise UserError(f"{test}: a study needs two different pictures at least")
        for number, digest in enumerate(sorted(pictures)):
            whole.update(digest.encode())
            place, name = folder / HALVES[number % 2], pictures[digest].relative_to(test)
            _link(pictures[digest], place / test.name / name)
            _link_twin(name, dataroot / f"twins{domain}", place)
        for half in HALVES:
            _link(dataroot / f"train{domain}", folder / half / f"train{domain}")
    return whole.hexdigest()[:32]


def _link_twin(name: Path, twins: Path, place: Path) -> None:
    """The picture in `twins` that is called so, whatever its ending."""
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
    """A run at the end of a turn, as both halves see it."""

    seconds: float
    """of training, in all turns so far"""
    images: int
    finished: bool
    choosing: Scores
    reporting: Scores

    def half(self, half: Half) -> Scores:
        """As one half sees it."""
        return self.choosing if half == "choosing" else self.reporting


def chosen(run: Sequence[TurnEnd], half: Half, least_ssim: float) -> int:
    """The place of the checkpoint that a half likes best."""
    liked = [merit(one.half(half).values(), least_ssim).value for one in run]
    return liked.index(max(liked))


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, with the error of both the seeds and the pictures."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.error:.2f}"


def estimate(seeds: Sequence[Progress]) -> Estimate:
    """The mean; the pictures are the same for all seeds, so their error does not shrink."""
    return Estimate(
        fmean(one.value for one in seeds),
        math.hypot(_spread([one.value for one in seeds]), fmean(one.error for one in seeds)),
    )


def _spread(values: Sequence[float]) -> float:
    """Standard error of their mean; 0 of a single one, which tells nothing of it."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class PresetFigures:
    """What the seeds of a preset report, each by the checkpoint that was chosen for it."""

    name: str
    progress: dict[FolderDirection, Estimate]
    ssim: dict[FolderDirection, float]
    quality: Estimate
    """mean progress of both directions, less what SSIM lacks"""
    best_on_test: Estimate
    """the same had each checkpoint been chosen by the very pictures that report, as papers do"""
    images: int
    """that the chosen checkpoints were trained on, the mean"""


def of_preset(name: str, runs: Sequence[Sequence[TurnEnd]], least_ssim: float) -> PresetFigures:
    """The figures of the finished seeds of one preset."""
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
    """By how much one preset is ahead of another, seed by seed."""

    one: str
    other: str
    by: Estimate

    @property
    def verdict(self) -> str:
        """In words: no difference where it may be chance."""
        if abs(self.by.value) <= SURE * self.by.error:
            return f"{self.one} and {self.other}: no difference ({self.by})"
        ahead = (self.one, self.other) if self.by.value > 0 else (self.other, self.one)
        by = Estimate(abs(self.by.value), self.by.error)
        return f"{ahead[0]} is better than {ahead[1]} by {by}"


def differences(
    runs: Mapping[str, Sequence[Sequence[TurnEnd]]], least_ssim: float
) -> list[Difference]:
    """Of every two presets, on the reporting half."""
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
    """The pictures' errors are taken as if they were not the same pictures: rather too large."""
    pairs = list(zip(one, other, strict=True))
    return estimate([Progress(a.value - b.value, math.hypot(a.error, b.error)) for a, b in pairs])
