"""The sweep command: trials suggested by Optuna, trained and judged as a study does it."""

import json
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import tomli_w
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter
from sqlalchemy.exc import DatabaseError

from cyclegan.atomic import atomic_write
from cyclegan.errors import UsageError, UserError
from cyclegan.evaluation.eval_set import EvalSet
from cyclegan.features.table import feature_network
from cyclegan.progress import part, progress_bar, waiting
from cyclegan.run import only_trainer
from cyclegan.settings import Settings, load_preset
from cyclegan.study import StudySettings
from cyclegan.study.figures import Half, TurnEnd, chosen, ended_early, make_halves
from cyclegan.study.job import as_studied, make_eval_sets, train_turn
from cyclegan.study.turns import forget
from cyclegan.sweep import SweepSettings
from cyclegan.sweep.page import TrialResult, best_of, shown, words, write_page
from cyclegan.sweep.space import Space, make_space, own_values, varied, with_each_end
from cyclegan.training.best import merit

NAME = "sweep.db"
_TURNS = TypeAdapter(list[TurnEnd])
#: Attributes of trials: what was measured, and why a training failed.
_MEASURED, _WHY = "turns", "why"
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class _Plan:
    """What all trials of a sweep share."""

    settings: SweepSettings
    preset: Settings
    space: Space
    study: StudySettings
    eval_sets: dict[Half, EvalSet]

    def trained(self, trial: FrozenTrial | optuna.Trial, name: str) -> Settings:
        """Return the settings that a trial trains with. Raises UsageError."""
        given = varied(self.preset, self.space, trial.params, name)
        settings = as_studied(given, name, self.study)
        return replace(settings, run=replace(settings.run, name=name))


def sweep(settings: SweepSettings) -> int:
    """Try settings, write the best preset and the page, and return the exit code.

    Raises UserError.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    preset = load_preset(settings.preset)
    space = make_space(settings.vary, preset)
    dataroot = settings.dataroot or preset.data.dataroot
    if dataroot is None:
        raise UsageError("no images to train on: give --dataroot DIR")
    study = settings.study(dataroot)
    trained = as_studied(preset, settings.preset, study)
    for name, given in with_each_end(preset, space):
        as_studied(given, name, study)
    with only_trainer(settings.output):
        network = feature_network(settings.features)
        side = settings.size or trained.data.crop_size
        with waiting("extracting features of real images"):
            digest = make_halves(dataroot, settings.output)
            eval_sets = make_eval_sets(trained, study, side, network)
        asked = _asked(trained, settings, side, digest)
        plan = _Plan(settings, preset, space, study, eval_sets)
        _try_all(plan, trials := _open(settings.output / NAME, asked))
        _tell(plan, trials)
    return 0


def _asked(trained: Settings, settings: SweepSettings, side: int, digest: str) -> dict[str, Any]:
    """Return what trials must share to stand in one table."""
    keys = ("minutes", "checkpoints", "prune", "seed", "crops", "features", "min_ssim", "vary")
    values = {key: getattr(settings, key) for key in keys}
    asked = values | {"size": side, "test pictures": digest, "preset": trained.table()}
    found: dict[str, Any] = json.loads(json.dumps(asked))
    return found


def _open(path: Path, asked: dict[str, Any]) -> optuna.Study:
    """Open the trials so far. Raises UserError where the file is damaged or another sweep's."""
    try:
        # Whatever is in the path, no part of a URL is made of it.
        storage = RDBStorage("sqlite://", {"creator": lambda: sqlite3.connect(path)})
        trials = optuna.create_study(
            storage=storage,
            study_name="sweep",
            direction="maximize",
            load_if_exists=True,
        )
        if "asked" not in trials.user_attrs:
            trials.set_user_attr("asked", asked)
        before = trials.user_attrs["asked"]
    except (DatabaseError, RuntimeError):
        raise UserError(f"{path}: damaged: give another --output") from None
    for key in asked:
        if before.get(key) != asked[key]:
            raise UsageError(
                f"{path}: a sweep with another {key}: give another --output, or the same {key}"
            )
    return trials


def _try_all(plan: _Plan, trials: optuna.Study) -> None:
    """Train and judge until there are as many trials as asked for. Raises UserError."""
    _take_up(trials)
    own = own_values(plan.preset, plan.space)
    if not trials.trials and own is not None:
        trials.enqueue_trial(own)
    count, parts = plan.settings.trials, plan.settings.checkpoints
    with progress_bar() as bar:
        task = bar.add_task("sweeping", total=count * parts, unit="parts")
        while (done := len(_ended(trials))) < count:
            bar.update(task, completed=done * parts)
            trials.sampler = _sampler(plan.settings.seed, done)
            trials.pruner = _pruner(plan.settings)
            trial = trials.ask({name: one.values for name, one in plan.space.items()})
            name = _name(done)

            def turn(trained: Settings, run: Sequence[TurnEnd]) -> TurnEnd:
                with part(bar, task, f"training {trained.run.name}") as tell:
                    found = train_turn(trained, run, plan.study, plan.eval_sets, tell)
                bar.advance(task)
                return found

            _carry_out(plan, trials, trial, name, turn)
            _keep_best(trials, plan.settings)
        bar.update(task, completed=count * parts)


def _take_up(trials: optuna.Study) -> None:
    """Queue the trial that was stopped again, with what was measured of it."""
    for one in trials.get_trials(states=(TrialState.RUNNING,)):
        trials.tell(one.number, state=TrialState.FAIL)
        if one.params and _WHY not in one.user_attrs:
            trials.enqueue_trial(one.params, user_attrs=one.user_attrs)


def _ended(trials: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that came to an end, in order, without those that were stopped."""
    return [one for one in trials.trials if one.state in _ENDED or _WHY in one.user_attrs]


def _name(number: int) -> str:
    return f"trial_{number}"


def _sampler(seed: int, done: int) -> optuna.samplers.BaseSampler:
    """Return what suggests a trial; it starts anew with each, so that stops change nothing."""
    own = np.random.SeedSequence((seed, done)).generate_state(1)[0]
    return optuna.samplers.TPESampler(seed=int(own))


def _pruner(settings: SweepSettings) -> optuna.pruners.BasePruner:
    pruners = optuna.pruners
    return pruners.MedianPruner(n_warmup_steps=1) if settings.prune else pruners.NopPruner()


def _carry_out(
    plan: _Plan,
    trials: optuna.Study,
    trial: optuna.Trial,
    name: str,
    turn: Callable[[Settings, Sequence[TurnEnd]], TurnEnd],
) -> None:
    """Train a trial part by part, and tell how it ended; a failed training is no sweep's end."""
    least = plan.settings.min_ssim
    run = _TURNS.validate_python(trial.user_attrs.get(_MEASURED, []))
    for step, end in enumerate(run):
        trial.report(merit(end.choosing.values(), least).value, step)
    try:
        trained = plan.trained(trial, name)
        while len(run) < plan.settings.checkpoints and not (run and run[-1].finished):
            if run and trial.should_prune():
                trials.tell(trial, state=TrialState.PRUNED)
                return
            run.append(turn(trained, run))
            trial.set_user_attr(_MEASURED, [asdict(end) for end in run])
            trial.report(merit(run[-1].choosing.values(), least).value, len(run) - 1)
            forget(trained.run.folder, {len(run), 1 + chosen(run, "choosing", least)})
    except UserError as error:
        trial.set_user_attr(_WHY, str(error))
        trials.tell(trial, state=TrialState.FAIL)
    else:
        best = run[chosen(run, "choosing", least)]
        trials.tell(trial, merit(best.choosing.values(), least).value)


def _keep_best(trials: optuna.Study, settings: SweepSettings) -> None:
    """Remove the runs of ended trials but the best one's: checkpoints are large."""
    results = _results(trials, settings.min_ssim)
    best = best_of(results)
    for one in results:
        if one is not best:
            shutil.rmtree(settings.output / "runs" / one.name, ignore_errors=True)


def _results(trials: optuna.Study, least_ssim: float) -> list[TrialResult]:
    """Return what ended trials have come to, in order."""
    return [
        TrialResult(
            name=_name(number),
            values=one.params,
            run=_TURNS.validate_python(one.user_attrs.get(_MEASURED, [])),
            least_ssim=least_ssim,
            pruned=one.state is TrialState.PRUNED,
            why=one.user_attrs.get(_WHY),
        )
        for number, one in enumerate(_ended(trials))
    ]


def _tell(plan: _Plan, trials: optuna.Study) -> None:
    """Write the best preset and the page, and print the result. Raises UserError."""
    settings, results = plan.settings, _results(trials, plan.settings.min_ssim)
    best = best_of(results)
    if best is None:
        raise UserError(f"{settings.output}: no trial could be trained: {results[0].why}")
    preset = settings.output / "best.toml"
    found = varied(plan.preset, plan.space, best.values, best.name)
    with atomic_write(preset) as unfinished:
        unfinished.write_text(tomli_w.dumps(found.table()))
    confirm = _confirming(plan, preset)
    page = write_page(results, best, settings, confirm)
    if settings.json:
        told = {
            "trials": [one.told() for one in results],
            "best": best.name,
            "values": best.values,
            "choosing": asdict(best.quality("choosing")),
            "reporting": asdict(best.quality("reporting")),
            "preset": str(preset),
            "page": str(page),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        return
    lines = [
        *(f"{one.name}: {words(one.values)}: {one.outcome}" for one in results),
        *ended_early({best.name: [best.run]}, settings.minutes),
        f"best: {best.name}, {words(best.values)}, quality {shown(best.quality('choosing'))}; on "
        f"the test images not used for selection {shown(best.quality('reporting'))}",
        f"one seed per trial: confirm it with {confirm}",
        f"preset: {preset}",
        f"open in a browser: {page.resolve().as_uri()}",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _confirming(plan: _Plan, preset: Path) -> str:
    """Return the command that compares the best preset with the one it began from."""
    settings = plan.settings
    given = [settings.preset, preset, "--dataroot", plan.study.dataroot, "--seeds", "3"]
    time = ["--minutes", f"{settings.minutes:g}", "--output", settings.output / "study"]
    return shlex.join(["cyclegan", "study", *map(str, [*given, *time])])
