"""Converts an image set."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

import torch
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from cyclegan import checkpoint, images
from cyclegan.conversion import manifest, memory, weights
from cyclegan.conversion.files import Job, plan
from cyclegan.conversion.page import PAGE, write_page
from cyclegan.conversion.reference import compare
from cyclegan.conversion.settings import ConvertSettings
from cyclegan.conversion.sizes import pixels_of_two_sizes, scaled
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.weights import Generator
from cyclegan.device import choose_device
from cyclegan.errors import UsageError, UserError
from cyclegan.execution.choice import choose_for_conversion
from cyclegan.progress import progress_bar
from cyclegan.run import check_name

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What became of the pictures."""

    converted: int = 0
    skipped: int = 0
    failed: tuple[str, ...] = ()


def convert(settings: ConvertSettings) -> int:
    """Convert `settings.input` into `settings.output`; return the exit code.

    Prints a progress bar, where the page lies, and one line of counts; 1 where pictures failed.
    Raises UserError where nothing can be converted at all.
    """
    jobs = plan(settings.input, settings.output, settings.format)[: settings.num_test]
    generator = load_generator(settings)
    made_by = _digest(settings, generator)
    todo = _unfinished(jobs, settings, made_by)
    failed: list[str] = []
    if todo:
        translator = make_translator(generator, settings, todo)
        with progress_bar() as bar:
            failed = convert_all(todo, translator, settings, made_by, bar)
    done = Summary(len(todo) - len(failed), len(jobs) - len(todo), tuple(failed))
    return _report(done, jobs, settings, generator)


def load_generator(settings: ConvertSettings) -> Generator:
    """The generator that `settings` name. Raises UserError."""
    if (settings.name is None) == (settings.weights is None):
        raise UsageError("give either --name RUN or --weights FILE to convert with")
    if settings.weights is not None and settings.epoch != "latest":
        raise UsageError(f"--epoch {settings.epoch} goes with --name; --weights names one file")
    path = settings.weights
    if settings.name is not None:
        check_name(settings.name)
        path = checkpoint.path_of(settings.checkpoints_dir / settings.name, settings.epoch)
    assert path is not None
    generator = weights.load(path, settings.direction, average=settings.average)
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
    device = choose_device(settings.device)
    pixels = pixels_of_two_sizes(jobs, settings.load_size) if settings.compile == "auto" else 0
    channels = generator.architecture.input_nc
    execution = choose_for_conversion(
        generator.network, channels, settings.precision, settings.compile, pixels, device
    )
    return Translator(generator, device, execution)


def _digest(settings: ConvertSettings, generator: Generator) -> str:
    """Of all that decides the pixels: an output with the same digest need not be made again."""
    options = (settings.load_size, settings.norm_statistics, settings.precision)
    return sha256(f"{generator.digest} {options}".encode()).hexdigest()[:16]


def _unfinished(jobs: Sequence[Job], settings: ConvertSettings, made_by: str) -> list[Job]:
    """Leave out what is finished. Raises UserError before anything else would be overwritten."""
    if settings.overwrite:
        return list(jobs)
    there = [job for job in jobs if job.target.exists()]
    made = manifest.read(settings.output)
    foreign = [
        job
        for job in there
        if made.get(job.name.as_posix()) != manifest.Entry.of(job.source, job.name, made_by)
    ]
    if foreign:
        raise UserError(
            f"{foreign[0].target}: there already, and made from something else or with other "
            f"options ({len(foreign)} such files): give another --output, or --overwrite"
        )
    if (settings.output / PAGE).exists() and not made:
        raise UserError(
            f"{settings.output / PAGE}: there already, and not ours: give another --output, "
            "or --overwrite"
        )
    finished = {job.target for job in there}
    return [job for job in jobs if job.target not in finished]


def convert_all(
    todo: Sequence[Job],
    translator: Translator,
    settings: ConvertSettings,
    made_by: str,
    bar: Progress,
) -> list[str]:
    """Convert picture after picture; return a line for each that failed.

    The next one is read and the last one written meanwhile, each in a thread of its own.
    """
    failed: list[str] = []
    channels = translator.generator.architecture.input_nc
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        written: Future[list[str]] | None = None
        pictures = _read_ahead(reader, todo, channels)
        try:
            for job, picture in bar.track(pictures, total=len(todo), description="converting"):
                try:
                    converted = _convert_one(job, picture.result(), translator, settings)
                except UserError as error:
                    failed.append(str(error))
                    continue
                failed += written.result() if written else []
                written = writer.submit(_keep, job, converted, settings, made_by)
            failed += written.result() if written else []
        except KeyboardInterrupt:
            log.warning("stopped; the same command goes on with the rest")
            raise
    return failed


def _keep(job: Job, converted: Image.Image, settings: ConvertSettings, made_by: str) -> list[str]:
    """Write a converted picture; return what is wrong with it, if anything."""
    try:
        # Noted first: a picture under its name is then always known as ours. One that may be
        # replaced goes before, or it would pass for the new one after a kill.
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.unlink(missing_ok=True)
        manifest.append(settings.output, manifest.Entry.of(job.source, job.name, made_by))
        images.write(converted, job.target)
    except UserError as error:
        return [str(error)]
    except OSError as error:
        raise UserError(f"{job.target}: can't be written ({error.strerror})") from error
    return []


def _read_ahead(
    reader: Executor, jobs: Sequence[Job], channels: int
) -> Iterator[tuple[Job, Future[Image.Image]]]:
    """Each job with its picture, while the next one is on its way."""
    coming: deque[tuple[Job, Future[Image.Image]]] = deque()
    for job in jobs:
        coming.append((job, reader.submit(images.read, job.source, channels)))
        if len(coming) > 1:
            yield coming.popleft()
    yield from coming


def _convert_one(
    job: Job, image: Image.Image, translator: Translator, settings: ConvertSettings
) -> Image.Image:
    architecture = translator.generator.architecture
    size = scaled(image.size, settings.load_size)
    try:
        memory.check(architecture, *size, translator.device)
    except UserError as error:
        raise UserError(f"{job.source}: {error}") from None
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    try:
        converted = translator.convert(images.to_tensor(image))
    except (MemoryError, torch.OutOfMemoryError):
        raise UserError(f"{job.source}: out of memory: scale down with --load_size") from None
    return images.to_image(converted)


def _report(done: Summary, jobs: list[Job], settings: ConvertSettings, generator: Generator) -> int:
    console = Console(soft_wrap=True, highlight=False)
    for line in done.failed:
        log.warning("%s", line)
    if any(job.target.is_file() for job in jobs):
        title = settings.name or generator.origin
        page = write_page(jobs, settings.output, f"Converted with {title}")
        console.print(f"pictures: {page}", markup=False)
    if settings.reference is not None:
        for line in compare([job for job in jobs if job.target.is_file()], settings.reference):
            console.print(line, markup=False)
    console.print(
        f"{done.converted} converted, {done.skipped} skipped (finished before), "
        f"{len(done.failed)} failed"
    )
    return int(bool(done.failed))
