"""The study command: presets trained in turn for the same time, judged, and compared."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich import box
from rich.console import Console
from rich.table import Table

from cyclegan import checkpoint
from cyclegan.atomic import atomic_write
from cyclegan.comparison import CompareSettings
from cyclegan.comparison.compare import write_page
from cyclegan.device import choose_device
from cyclegan.errors import UsageError, UserError
from cyclegan.evaluation import EvaluateSettings
from cyclegan.evaluation.domain import crops_of
from cyclegan.evaluation.eval_set import EvalSet, make_eval_set, open_domains
from cyclegan.evaluation.evaluate import converter
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.table import feature_network
from cyclegan.plain import DamagedTextError, from_json
from cyclegan.progress import part, progress_bar, waiting
from cyclegan.run import FolderDirection
from cyclegan.settings import Settings, load_preset
from cyclegan.study import StudySettings
from cyclegan.study.figures import (
    HALVES,
    Half,
    PresetFigures,
    TurnEnd,
    chosen,
    differences,
    ended_early,
    make_halves,
    of_preset,
)
from cyclegan.study.turns import forget, place, train_on
from cyclegan.training.best import Score

NAME = "study.json"
Runs = dict[str, list[TurnEnd]]
_RUNS = TypeAdapter(Runs)


def study(settings: StudySettings) -> int:
    """Train, judge, print the figures and return the exit code. Raises UserError."""
    settings.check()
    presets = {
        label: as_studied(load_preset(name), name, settings)
        for label, name in zip(settings.labels, settings.presets, strict=True)
    }
    side = settings.size or max(one.data.crop_size for one in presets.values())
    network = feature_network(settings.features)
    with waiting("extracting features of real images"):
        digest = make_halves(settings.dataroot, settings.output)
        eval_sets = make_eval_sets(next(iter(presets.values())), settings, side, network)
    journal = _Journal(settings.output / NAME, _asked(presets, settings, side, digest))
    _train_all(presets, settings, journal, eval_sets)
    by_preset = {
        label: [journal.runs[_name(label, seed)] for seed in range(settings.seeds)]
        for label in presets
    }
    _tell(by_preset, settings, network, list(_pages(by_preset, settings)))
    return 0


def as_studied(given: Settings, name: str, settings: StudySettings) -> Settings:
    """Return a preset as a study trains it. Raises UsageError where it can't be judged."""
    given.check()
    if not given.recipe.both_ways:
        raise UsageError(
            f"{name}: --model {given.recipe.model} converts one way only, and a study measures "
            "both directions"
        )
    for key, network in given.recipe.frozen_networks.items():
        if network == settings.features:
            raise UsageError(
                f"{name}: {key} = {network!r}: the evaluation network must not be trained with: "
                "give another network there, or another --features"
            )
    return replace(
        given,
        run=replace(given.run, checkpoints_dir=settings.output / "runs", device=settings.device),
        data=given.data.below(settings.dataroot),
        training=replace(given.training, save_epoch_freq=0),
        quality=replace(given.quality, eval_freq=0),
        loggers=replace(
            given.loggers,
            visdom=False,
            display_freq=0,
            html=False,
            tensorboard=False,
            use_wandb=False,
        ),
    )


def make_eval_sets(
    trained: Settings, settings: StudySettings, side: int, network: FeatureNetwork
) -> dict[Half, EvalSet]:
    """Return the evaluation set of each half; the whole test set decides on crops."""
    domains = open_domains(trained, trained.data, side, None)
    crops = crops_of([domain.test for domain in domains.values()], side, settings.crops)
    return {
        half: make_eval_set(
            trained,
            EvaluateSettings(dataroot=settings.output / half, size=side, crops=crops),
            network,
            network,
        )
        for half in HALVES
    }


def _asked(
    presets: Mapping[str, Settings], settings: StudySettings, side: int, digest: str
) -> dict[str, Any]:
    """Return the settings that figures must share to stand in one table."""
    values = {
        key: getattr(settings, key) for key in ("minutes", "checkpoints", "crops", "features")
    }
    tables = {f"preset {label}": one.table() for label, one in presets.items()}
    return values | {"size": side, "test pictures": digest} | tables


class _Journal:
    """Measurements so far, on disk: a study that was killed resumes from here."""

    def __init__(self, path: Path, asked: dict[str, Any]) -> None:
        """Read the journal if there is one. Raises UserError where it is another study's."""
        self._path = path
        self._asked = json.loads(json.dumps(asked))
        self.runs: Runs = {}
        if path.exists():
            self._read()

    def add(self, name: str, found: TurnEnd) -> None:
        """Record the newest checkpoint of a run."""
        self.runs.setdefault(name, []).append(found)
        runs = {name: [asdict(one) for one in run] for name, run in self.runs.items()}
        with atomic_write(self._path) as unfinished:
            unfinished.write_text(json.dumps({"asked": self._asked, "runs": runs}, indent=1))

    def _read(self) -> None:
        try:
            table = from_json(self._path.read_bytes())
            asked, self.runs = dict(table["asked"]), _RUNS.validate_python(table["runs"])
        except (DamagedTextError, ValidationError, TypeError, ValueError, KeyError):
            raise UserError(f"{self._path}: damaged: give another --output") from None
        for key in sorted(asked.keys() | self._asked.keys()):
            if asked.get(key) != self._asked.get(key) and not _is_further(key, asked, self._asked):
                raise UsageError(
                    f"{self._path}: a study with another {key}: give another --output, or the "
                    f"same {key}"
                )


def _is_further(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a preset is only added, or left out."""
    return key.startswith("preset ") and (key not in before or key not in now)


def _name(label: str, seed: int) -> str:
    return f"{label}-{seed}"


def _train_all(
    presets: Mapping[str, Settings],
    settings: StudySettings,
    journal: _Journal,
    eval_sets: Mapping[Half, EvalSet],
) -> None:
    """Train seed by seed, all presets in turn. Raises UserError."""
    turns = [
        (label, seed, turn)
        for seed in range(settings.seeds)
        for turn in range(settings.checkpoints)
        for label in presets
    ]
    with progress_bar() as bar:
        task = bar.add_task("studying", total=len(turns), unit="parts")
        for label, seed, turn in turns:
            name = _name(label, seed)
            run = journal.runs.get(name, [])
            if turn >= len(run) and not (run and run[-1].finished):
                trained = presets[label]
                trained = replace(trained, run=replace(trained.run, name=name, seed=seed))
                with part(bar, task, f"training {name}") as tell:
                    found = train_turn(trained, run, settings, eval_sets, tell)
                journal.add(name, found)
                run = journal.runs[name]
                kept = {len(run), 1 + chosen(run, "choosing", settings.min_ssim)}
                forget(trained.run.folder, kept)
            bar.advance(task)


def train_turn(
    trained: Settings,
    run: Sequence[TurnEnd],
    settings: StudySettings,
    eval_sets: Mapping[Half, EvalSet],
    tell: Callable[[float], None],
) -> TurnEnd:
    """Train a run to the end of its next part, and measure it. Raises UserError."""
    before = run[-1].seconds if run else 0.0
    due = 60 * settings.minutes * (len(run) + 1) / settings.checkpoints
    by_clock = choose_device(settings.device).type != "cpu"
    turn = train_on(trained, len(run), max(due - before, 0.01), by_clock=by_clock, tell=tell)
    path = place(trained.run.folder, len(run) + 1)
    scores = {half: _scores(path, one, settings) for half, one in eval_sets.items()}
    images = checkpoint.load(path, mapped=True).position.images
    return TurnEnd(before + turn.seconds, images, turn.finished, **scores)


def _scores(path: Path, eval_set: EvalSet, settings: StudySettings) -> dict[FolderDirection, Score]:
    return {
        way: one.score(
            converter(path, way, EvaluateSettings(device=settings.device)), eval_set.network
        )
        for way, one in eval_set.ways.items()
    }


def _pages(
    runs: Mapping[str, Sequence[Sequence[TurnEnd]]], settings: StudySettings
) -> Iterator[Path]:
    """Write a page for each direction, of the first seed of every preset; yield their paths.

    The pages show the chosen checkpoints on the reporting half.
    """
    paths = [
        place(
            settings.output / "runs" / _name(label, 0),
            1 + chosen(seeds[0], "choosing", settings.min_ssim),
        )
        for label, seeds in runs.items()
    ]
    if len(paths) < 2:
        return
    ways: tuple[FolderDirection, FolderDirection] = ("AtoB", "BtoA")
    for way in ways:
        asked = CompareSettings(
            runs=tuple(map(str, paths)),
            dataroot=settings.output / "reporting",
            output=settings.output / f"pictures_{way}.html",
            images=settings.images,
            size=settings.size,
            direction=way,
            figures=False,
            overwrite=True,
            device=settings.device,
        )
        yield write_page(asked)


def _tell(
    runs: Mapping[str, Sequence[Sequence[TurnEnd]]],
    settings: StudySettings,
    network: FeatureNetwork,
    pages: Sequence[Path],
) -> None:
    found = [of_preset(label, seeds, settings.min_ssim) for label, seeds in runs.items()]
    apart = differences(runs, settings.min_ssim)
    early = list(ended_early(runs, settings.minutes))
    if settings.json:
        told = {
            "network": network.name,
            "minutes": settings.minutes,
            "seeds": settings.seeds,
            "presets": [asdict(one) for one in found],
            "ended_early": early,
            "differences": [asdict(one) | {"verdict": one.verdict} for one in apart],
            "pages": [str(page) for page in pages],
        }
        sys.stdout.write(json.dumps(told) + "\n")
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(_table(found))
    lines = [
        f"progress (0: nothing done, 1: like the target) of {settings.seeds} seeds after "
        f"{settings.minutes:g} minutes each, measured with {network.name} on the half of the test "
        "images that no checkpoint was selected on",
        "quality: the mean of both directions, minus 10 times the shortfall of SSIM below "
        f"{settings.min_ssim:g}; best on test: the same with the checkpoint selected on the "
        "reported images, as papers do",
        *early,
        *(one.verdict for one in apart),
        *(f"open in a browser, for blind voting: {page.resolve().as_uri()}" for page in pages),
    ]
    console.print("\n".join(lines), markup=False)


def _table(found: Sequence[PresetFigures]) -> Table:
    names = ("preset", "progress A→B", "B→A", "SSIM", "quality", "best on test")
    table = Table(*names, box=box.SIMPLE)
    for one in found:
        table.add_row(
            one.name,
            *(str(value) for value in one.progress.values()),
            ", ".join(f"{value:.2f}" for value in one.ssim.values()),
            str(one.quality),
            str(one.best_on_test),
        )
    return table
