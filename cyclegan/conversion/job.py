"""Converts an image set."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from rich.console import Console

from cyclegan import checkpoint, classic
from cyclegan.conversion import manifest, weights
from cyclegan.conversion.claims import Claims, claims
from cyclegan.conversion.domains import tell_mixed_up, with_input
from cyclegan.conversion.files import Job, folder_of, is_video, plan
from cyclegan.conversion.ledger import Ledger
from cyclegan.conversion.look import Look
from cyclegan.conversion.mask import Mask
from cyclegan.conversion.page import PAGE, write_page
from cyclegan.conversion.pictures import Pictures
from cyclegan.conversion.reference import compare
from cyclegan.conversion.remote import Here, mirrored
from cyclegan.conversion.settings import ConvertSettings
from cyclegan.conversion.sizes import SizeAdvice, pixels_of_two_sizes
from cyclegan.conversion.translator import Translator, choose_way
from cyclegan.conversion.weights import Generator
from cyclegan.device import tune
from cyclegan.errors import UsageError, UserError, in_words, printable
from cyclegan.execution.settings import Switch
from cyclegan.packages import need
from cyclegan.progress import progress_bar, waiting
from cyclegan.recipes.styles import Styles
from cyclegan.run import FolderDirection, check_name

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What became of the pictures."""

    converted: int = 0
    skipped: int = 0
    failed: tuple[str, ...] = ()


def convert(settings: ConvertSettings) -> int:
    """Convert the input, or the run's own test images; return the exit code.

    Prints a progress bar, where the page lies, and one line of counts; 1 where pictures failed.
    Raises UserError where nothing can be converted at all.
    """
    tell_mixed_up(settings)
    ways: tuple[FolderDirection, ...] = ("AtoB", "BtoA")
    each = [settings]
    if settings.direction == "both":
        if folder_of(settings) != settings.target:
            raise UsageError(f"--output {settings.target}: --direction both makes two: a folder")
        each = [replace(settings, direction=way, output=settings.target / way) for way in ways]
    codes = []
    for one in map(with_input, each):
        with mirrored(one) as (here, mirror):
            codes.append(_one_way(here, mirror))
    return max(codes)


def _one_way(settings: ConvertSettings, mirror: Here) -> int:
    with waiting("looking for pictures"):
        jobs = plan(settings)[: settings.num_test]
    if settings.dry_run:
        return _tell(jobs)
    with waiting(f"loading {settings.name or settings.weights}"):
        generator = load_generator(settings)
        look(settings).check(generator.architecture.input_nc, generator.architecture.output_nc)
        made_by = _digest(settings, generator)
        todo = _unfinished(jobs, settings, made_by)
    with claims(folder_of(settings), overwrite=settings.overwrite) as ours:
        failed: list[str] = []
        if todo:
            mirror.begin()
            asked = _as_before(settings, made_by)
            with waiting("preparing the model"):
                translator = make_translator(generator, asked, jobs)
            digest = generator.digest
            ledger = Ledger(folder_of(settings), made_by, digest, translator.execution)
            failed = _convert_all(asked, translator, ledger, mirror, ours, todo)
        converted = len(todo) - len(failed) - len(ours.found)
        failed += _foreign(ours.found, settings, made_by)
        done = Summary(converted, len(jobs) - converted - len(failed), tuple(failed))
        with ours.alone(PAGE):
            return _report(done, jobs, settings, generator)


def _convert_all(
    settings: ConvertSettings,
    translator: Translator,
    ledger: Ledger,
    mirror: Here,
    ours: Claims,
    todo: Sequence[Job],
) -> list[str]:
    """Return a line for each that failed."""
    pictures = [job for job in todo if not is_video(job.source)]
    clips = [job for job in todo if is_video(job.source)]
    failed: list[str] = []
    with_all = (look(settings), ledger, mirror, ours, _advice(settings, translator))
    with progress_bar() as bar:
        if pictures:
            back = None
            if settings.also:
                other = load_generator(settings, back=True)
                way = (translator.device, translator.execution)
                back = Translator(other, *way, settings.tile, settings.scratch)
            convert_all = Pictures(settings, translator, back, *with_all)
            failed += convert_all(pictures, bar)
        if clips:
            need(str(clips[0].source), "video", "av")
            from cyclegan.conversion.clips import Clips  # what it imports is for videos only

            convert_clips = Clips(settings, translator, *with_all)
            failed += convert_clips(clips, bar)
    return failed


def _advice(settings: ConvertSettings, translator: Translator) -> SizeAdvice:
    """None for who has chosen by himself."""
    if settings.load_size is not None or settings.tile != "auto":
        return SizeAdvice()
    return SizeAdvice(translator.generator.trained_side, translator.tiles)


def _as_before(settings: ConvertSettings, made_by: str) -> ConvertSettings:
    """What is left to us is decided as when the job began: no picture shall differ by it."""
    before = manifest.computed(folder_of(settings), made_by)
    if before is None or before.precision is None:
        return settings
    precision = before.precision if settings.precision == "auto" else settings.precision
    kept: Switch = "on" if before.compiled else "off"
    compile = kept if settings.compile == "auto" else settings.compile
    return replace(settings, precision=precision, compile=compile)


def _foreign(found: Sequence[Job], settings: ConvertSettings, made_by: str) -> list[str]:
    """A line for each that another process made meanwhile, but of something else."""
    made = manifest.read(folder_of(settings)) if found else {}
    return [
        f"{job.target}: another process made it meanwhile, from something else or with other "
        "options: give another --output"
        for job in found
        if not _is_ours(job, made, made_by)
    ]


def _tell(jobs: Sequence[Job]) -> int:
    console = Console(soft_wrap=True, highlight=False)
    for job in jobs:
        console.print(f"{job.source} -> {job.target}", markup=False)
    console.print(f"{len(jobs)} would be converted")
    return 0


def look(settings: ConvertSettings) -> Look:
    """How much of the conversion is taken over. Raises UserError where a mask can't be read."""
    mask = None if settings.mask is None else Mask.read(settings.mask)
    return Look(settings.strength, settings.keep_luminance, settings.keep_color, mask)


def load_generator(settings: ConvertSettings, *, back: bool = False) -> Generator:
    """The generator that `settings` name, or with `back` the other one. Raises UserError."""
    settings.check()
    one_file = settings.weights is not None and not settings.weights.is_dir()
    if one_file and settings.epoch != "latest":
        raise UsageError(f"--epoch {settings.epoch} goes with --name; --weights names one file")
    assert settings.direction != "both"
    path = settings.weights
    if settings.name is not None:
        check_name(settings.name)
        path = settings.checkpoints_dir / settings.name
        if not classic.is_folder(path):
            path = checkpoint.path_of(path, settings.epoch)
    assert path is not None
    generator = weights.load(
        path,
        settings.direction,
        epoch=settings.epoch,
        average=settings.average,
        back=back,
        runtime=settings.runtime,
        provider=settings.provider,
        style_mix=settings.style_mix,
        styles=Styles(settings.style, settings.style_weights),
        trust_code=settings.trust_code,
    )
    if settings.norm_statistics == "image":
        weights.use_image_statistics(generator.network)
    hint = weights.advice(generator, settings.norm_statistics)
    if hint:
        log.warning("%s", hint)
    return generator


def make_translator(
    generator: Generator, settings: ConvertSettings, jobs: Sequence[Job]
) -> Translator:
    """The generator laid out for `jobs`. Raises UserError."""
    pixels = pixels_of_two_sizes(jobs, settings.load_size)
    way = choose_way(generator, settings.device, settings.precision, settings.compile, pixels)
    tune(way[0], same_size=pixels > 0)
    return Translator(generator, *way, settings.tile, settings.scratch)


def _digest(settings: ConvertSettings, generator: Generator) -> str:
    """Of all that decides the pixels: an output with the same digest need not be made again."""
    tile = settings.tile if settings.tile in ("fast", "dense") else "exact"  # as is "off"
    options = (settings.load_size, settings.norm_statistics, settings.precision, tile)
    more = (settings.range, look(settings), settings.also, settings.quality, settings.chroma)
    clips = (settings.temporal, settings.crf)
    return sha256(f"{generator.digest} {options} {more} {clips}".encode()).hexdigest()[:16]


def _unfinished(jobs: Sequence[Job], settings: ConvertSettings, made_by: str) -> list[Job]:
    """Leave out what is finished. Raises UserError before anything else would be overwritten."""
    if settings.overwrite:
        return list(jobs)
    there = [job for job in jobs if os.path.exists(job.target)]  # noqa: PTH110 - of any length
    folder = folder_of(settings)
    made = manifest.read(folder)
    there = [job for job in there if job.source.exists()]  # what a list names may be gone
    foreign = [job for job in there if not _is_ours(job, made, made_by)]
    if foreign:
        raise UserError(
            f"{foreign[0].target}: there already, and made from something else or with other "
            f"options ({len(foreign)} such files): give another --output, or --overwrite"
        )
    if folder == settings.target and (folder / PAGE).exists() and not made:
        raise UserError(
            f"{folder / PAGE}: there already, and not ours: give another --output, or --overwrite"
        )
    finished = {job.target for job in there}
    return [job for job in jobs if job.target not in finished]


def _is_ours(job: Job, made: dict[str, manifest.Entry], made_by: str) -> bool:
    entry = made.get(job.name.as_posix())
    return entry is not None and entry.origin == manifest.Origin.of(job.source, made_by)


def _report(done: Summary, jobs: list[Job], settings: ConvertSettings, generator: Generator) -> int:
    console = Console(soft_wrap=True, highlight=False)
    for line in done.failed:
        log.warning("%s", printable(line))
    if folder_of(settings) == settings.target and any(job.is_done for job in jobs):
        title = settings.name or generator.origin
        try:
            page = write_page(jobs, settings.target, f"Converted with {title}")
            console.print(f"pictures: {page}", markup=False)
        except OSError as error:  # the pictures are there
            log.warning("%s: can't be written (%s)", settings.target / PAGE, in_words(error))
    if settings.reference is not None:
        for line in compare([job for job in jobs if job.is_done], settings.reference):
            console.print(line, markup=False)
    console.print(
        f"{done.converted} converted, {done.skipped} skipped (finished before), "
        f"{len(done.failed)} failed"
    )
    return int(bool(done.failed))
