"""Composition root: builds a training run from its settings."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import tomli_w
import torch

from cyclegan.atomic import atomic_write
from cyclegan.checkpoint import BestRow, Checkpoint, versions
from cyclegan.conversion.weights import open_teacher
from cyclegan.data import DataSettings, is_there
from cyclegan.data.augment import Augmentation
from cyclegan.data.batch import Batch
from cyclegan.data.cache import Cache, open_cache
from cyclegan.data.check import check_sizes, told_shared
from cyclegan.data.folders import folder_of_test_images, list_images
from cyclegan.data.loader import Loader, held_out
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.data.unpaired import DATASETS, Domain
from cyclegan.device import choose_device, describe, limit_met, tune
from cyclegan.distributed import ALONE, Group
from cyclegan.errors import UserError
from cyclegan.evaluation.direction import make_scorer
from cyclegan.execution.choice import Chosen, Work, choose
from cyclegan.execution.execution import Execution
from cyclegan.execution.execution import from_table as execution_from_table
from cyclegan.loggers.jsonl import seconds_spent
from cyclegan.loggers.logger import RunInfo
from cyclegan.loggers.table import make_loggers
from cyclegan.losses.objective import check_terms
from cyclegan.recipes.materials import Materials
from cyclegan.resume import (
    check_size,
    check_unmoved,
    initial_weights,
    owned,
    rolled_back,
    take_in,
    take_up,
)
from cyclegan.run import Position, RunFolder
from cyclegan.settings import Settings, changes, from_record
from cyclegan.training.best import Best, QualityWatch
from cyclegan.training.captured import step_of
from cyclegan.training.loop import NOBODY, Caller, DivergedError, Training
from cyclegan.training.loop import train as run_loop
from cyclegan.training.step import LossWatch, Recipe
from cyclegan.training.training_logger import LOGGED, Display

log = logging.getLogger(__name__)


@contextmanager
def _limits_told() -> Iterator[None]:
    """Turn errors about a limit of the device into a UserError of one line."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if told := limit_met(error, "give a smaller --batch_size, --crop_size or --ngf"):
            raise UserError(told) from None
        raise


def train(
    settings: Settings,
    *,
    resume: Checkpoint | None = None,
    init_weights: Path | None = None,
    trust_code: bool = False,
    group: Group = ALONE,
    caller: Caller = NOBODY,
) -> int | None:
    """Train by `settings`, from `resume` on if given; return the signal that stopped it, if any.

    A training that diverges goes on from its last checkpoint, where the settings say so.

    The processes of a `group` share each batch; its leading one owns the run's folder.

    `init_weights` is what a new run starts from: a folder of the classic scripts' files, one of
    those files, or a checkpoint. Files that are programs are opened only with `trust_code`. Raises
    UserError, in one line, for anything that the user can fix.
    """
    folder = RunFolder(settings.run.folder)
    check: Callable[[], None] | None = partial(check_unmoved, folder, resume)
    while True:
        try:
            return _train(settings, resume, init_weights, trust_code, group, caller, check)
        except DivergedError as error:
            init_weights, resume = None, rolled_back(settings, error, group)
            check = None  # it has trained the run itself


@_limits_told()
def _train(
    settings: Settings,
    resume: Checkpoint | None,
    init_weights: Path | None,
    trust_code: bool,
    group: Group,
    caller: Caller,
    check: Callable[[], None] | None,
) -> int | None:
    check_terms(settings.recipe.losses.weights, settings.recipe.offers, settings.recipe.model)
    if resume is not None:
        check_size(settings, resume)
    group.check_share(settings.data.batch_size)
    device = choose_device(group.device_of(settings.run.device))
    tune_for(settings, device)
    torch.manual_seed(settings.run.seed)
    given = {} if init_weights is None else initial_weights(init_weights, trust_code=trust_code)
    if given:
        settings = replace(settings, recipe=settings.recipe.starting_from([*given]))
    start = Position(epoch=settings.training.epoch_count)
    with group.quiet():
        loader = _feed(settings, device, group)
        chosen = group.from_lead(lambda: _execution(settings, device, len(loader), resume))
        if group.size > 1 and chosen.execution.threads:
            torch.set_num_threads(chosen.execution.threads)
        images = len(loader) * settings.training.epochs
        recipe = make_recipe(settings, chosen.execution, device, loader.images.b.paths, images)
        if given:
            take_in(recipe, given)
        if resume is not None:
            take_up(recipe.state, resume, device, RunFolder(settings.run.folder).latest)
            start = resume.position
            _tell_data(resume.data, loader)
        recipe.state.share(group)
    with owned(RunFolder(settings.run.folder), group, check):
        try:
            with group.quiet():
                training = _training(settings, recipe, loader, device, start, chosen, group)
                best = None if resume is None else resume.best
                listening = (*training.display.loggers, *caller.loggers)
                training = replace(
                    training,
                    display=replace(training.display, loggers=listening),
                    stops=caller.stops,
                    quality=_quality(settings, recipe, best, device, group),
                    rollbacks=0 if resume is None else resume.rollbacks,
                )
            return run_loop(training, start)
        finally:
            loader.close()


def make_recipe(
    settings: Settings,
    execution: Execution,
    device: torch.device,
    targets: Sequence[Path] = (),
    images: float = math.inf,
) -> Recipe:
    """Build the recipe of `settings`, to be computed as `execution` says.

    `targets` are the image files of domain B; `images` is the number that the whole run sees of
    each domain, by which weights follow their schedules. The initial weights are drawn from torch's
    global random number generator. Raises UserError.
    """
    run, training = settings.run, settings.training
    step = settings.data.batch_size * training.accumulate
    materials = Materials(
        settings.networks, training, execution, run.seed, device, targets, step, images,
        partial(open_teacher, direction=run.direction),
    )  # fmt: skip
    return settings.recipe.build(materials)


def tune_for(settings: Settings, device: torch.device) -> None:
    """Set how the device computes, as `settings` ask."""
    way = settings.execution
    tune(
        device,
        same_size=PREPROCESS[settings.data.preprocess].crops,
        plain=way.plain,
        deterministic=way.deterministic,
    )


def _training(
    settings: Settings,
    recipe: Recipe,
    loader: Loader,
    device: torch.device,
    start: Position,
    chosen: Chosen,
    group: Group,
) -> Training:
    kept = settings.anchored().table()  # the run can go on from any working folder
    run_info = _run_info(settings, device, start, len(loader), chosen.execution)
    if group.leads:
        with atomic_write(RunFolder(settings.run.folder).settings) as unfinished:
            unfinished.write_text(tomli_w.dumps(kept))
        run_info.save()
    return Training(
        recipe.state,
        recipe.phases,
        loader,
        _display(settings, recipe, run_info, device, group),
        settings.run.folder,
        device,
        settings.training,
        kept,
        versions(),
        chosen.execution,
        step_of(recipe.phases, recipe.state, chosen.execution, group),
        group=group,
        watch=LossWatch(explosions=settings.training.on_divergence == "rollback"),
    )


def _quality(
    settings: Settings, recipe: Recipe, best: BestRow | None, device: torch.device, group: Group
) -> QualityWatch | None:
    """Return the quality watch; None if quality is not measured, with a warning if it can't be."""
    if not settings.quality.eval_freq:
        return None
    try:
        with torch.random.fork_rng(devices=[]):  # training shall draw the same with and without
            scorer = make_scorer(settings, device, group)
    except UserError as error:
        log.warning("%s: quality is not measured during training", error)
        return None
    known = Best.of_row(best, scorer.unconverted)
    return QualityWatch(
        settings.quality, lambda: scorer(recipe.convert), known, begins=recipe.begins
    )


def _execution(
    settings: Settings, device: torch.device, images: int, resume: Checkpoint | None
) -> Chosen:
    """Return the execution that the run used so far, or a new one if something changed."""
    if resume is not None and resume.execution:
        before = execution_from_table(resume.execution)
        same = from_record(resume.settings, "the checkpoint").execution == settings.execution
        if same and before.device == device.type:
            if before.threads:
                torch.set_num_threads(before.threads)
            return Chosen(before, 0.0)
    chosen = choose(settings.execution, work_of(settings, images), device)
    if resume is not None and resume.execution and before != chosen.execution:
        log.warning(
            "execution changed since the checkpoint: %s -> %s",
            before.describe(),
            chosen.execution.describe(),
        )
    return chosen


def work_of(settings: Settings, images: int) -> Work:
    """Return the work that a run of `images` images per epoch asks of a device."""
    data, training = settings.data, settings.training
    with torch.random.fork_rng(devices=[]):  # it is built on the CPU
        probe = settings.recipe.probe(settings.networks, data.batch_size, data.crop_size)
    return replace(
        probe,
        steps=training.epochs * -(-images // data.batch_size),
        same_size=PREPROCESS[data.preprocess].crops,
    )


def _feed(settings: Settings, device: torch.device, group: Group = ALONE) -> Loader:
    data, networks = settings.data, settings.networks
    first, second = _folders(settings)
    a = _domain("A", first, networks.input_nc, data)
    b = _domain("B", second, networks.output_nc, data)
    _tell_shared(first, second, a.paths, b.paths)
    cache, forget = _cache(data, [*a.paths, *b.paths], group)
    a, b = replace(a, cache=cache), replace(b, cache=cache)
    check_sizes(
        [*a.paths, *b.paths],
        data,
        smallest_side=settings.recipe.smallest_side,
        alike=data.batch_size > 1 or settings.recipe.same_sizes,
    )
    seed, serial = settings.run.seed, data.serial_batches
    images = DATASETS[data.dataset_mode](
        a, b, seed=seed, serial=serial, repeats=data.crops_per_image
    )
    return Loader(
        images,
        batch_size=data.batch_size,
        workers=data.num_threads,
        seed=seed,
        serial=serial,
        pins=device.type == "cuda",
        at_end=forget,
        group=group,
    )


def _cache(
    data: DataSettings, paths: Sequence[Path], group: Group
) -> tuple[Cache, Callable[[], None]]:
    """Return the one cache of this machine, and what removes it once no process reads from it.

    Raises UserError where the processes found other images.
    """
    names = "\0".join(path.name for path in paths)
    if len(set(group.gathered(sha256(names.encode(errors="surrogateescape")).digest()))) > 1:
        raise UserError(f"{data.dataroot}: must hold the same images for all processes of torchrun")
    removes: list[Callable[[], None]] = []

    def opened() -> Cache:
        cache, remove = open_cache(data, paths)
        removes.append(remove)
        return cache

    cache = group.per_machine(opened)
    return cache, removes[0] if removes else lambda: None


def _tell_shared(a: Path, b: Path, of_a: Sequence[Path], of_b: Sequence[Path]) -> None:
    """Warn about images that are trained on as both domains, or are test images too."""
    files = {a: of_a, b: of_b}
    for train in (a, b):
        test = folder_of_test_images(train)
        files |= {test: list_images(test)} if test not in files else {}
    for line in told_shared(files, _SECONDS):
        log.warning("%s", line)


_SECONDS = 20.0  # that a training waits for files to be compared


def _folders(settings: Settings) -> tuple[Path, Path]:
    """Return the folders of A and B, swapped for BtoA: all other code knows one direction only."""
    a, b = settings.data.folder("A"), settings.data.folder("B")
    source, target = (a, b) if settings.run.direction == "AtoB" else (b, a)
    return source, target if settings.recipe.needs_targets or is_there(target) else source


def _domain(name: str, folder: Path, channels: int, data: DataSettings) -> Domain:
    paths: Sequence[Path] = list_images(folder, tell=True)
    augmentation = Augmentation(data, channels)
    return Domain(name, paths[: data.max_dataset_size], channels, augmentation, values=data.range)


def _run_info(
    settings: Settings,
    device: torch.device,
    start: Position,
    images_per_epoch: int,
    execution: Execution,
) -> RunInfo:
    own = ("run.name", "run.checkpoints_dir")
    return RunInfo(
        settings.run.name,
        settings.run.folder,
        start,
        settings.training.last_epoch,
        images_per_epoch,
        settings.data.crop_size,
        settings.recipe.guessing,
        {key: str(new) for key, _, new in changes(Settings(), settings) if key not in own},
        {"device": describe(device), "execution": execution.describe()} | versions(),
        known=LOGGED,
    )


def _display(
    settings: Settings, recipe: Recipe, run_info: RunInfo, device: torch.device, group: Group
) -> Display:
    shown = _held_out(settings) if settings.loggers.display_freq and group.leads else None
    return Display(
        make_loggers(settings.loggers, run_info) if group.leads else (),
        settings.loggers,
        shown and shown.to(device),
        recipe.preview,
        seconds_spent(run_info),
    )


def _held_out(settings: Settings) -> Batch | None:
    """Return the held-out images shown throughout training; warn and return None if that fails."""
    folders = _folders(settings)
    a, b = (folder_of_test_images(folder) for folder in folders)
    for folder in {a, b} & {folder for folder in folders if folder.is_dir()}:
        log.warning("%s: no test images next to it, showing training images instead", folder)
    channels = (settings.networks.input_nc, settings.networks.output_nc)
    try:
        return held_out(settings.data, (a, b), channels, settings.loggers.display_images)
    except UserError as error:
        log.warning("%s: no held-out pictures are shown", error)
        return None


def _tell_data(saved: dict[str, int], loader: Loader) -> None:
    """Warn if the data set is not the one that the run was trained on so far."""
    now = {"A": len(loader.images.a.paths), "B": len(loader.images.b.paths)}
    if saved != now:
        log.warning("the data set changed since the checkpoint: images %s -> %s", saved, now)
