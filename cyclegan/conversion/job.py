"""Conversion of an image set, from its settings to its report."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from cyclegan import checkpoint, classic
from cyclegan.conversion import ConvertSettings, Locations, ModelChoice, Reading, manifest, weights
from cyclegan.conversion.blend import Blend, Mask
from cyclegan.conversion.claims import claims
from cyclegan.conversion.domains import tell_mixed_up, test_images_of
from cyclegan.conversion.files import Job, folder_of, is_video, plan
from cyclegan.conversion.network import Network
from cyclegan.conversion.reader import Reader, SizeAdvice, pixels_of_two_sizes, shared_out
from cyclegan.conversion.shards import Shard
from cyclegan.conversion.stages import threads
from cyclegan.conversion.storage import LocalStorage, mirrored
from cyclegan.conversion.translator import Translator, choose_way
from cyclegan.conversion.weights import Generator
from cyclegan.conversion.writer import (
    PAGE,
    Ledger,
    Output,
    OutputError,
    Standing,
    Writer,
    compare,
    end,
    merge,
)
from cyclegan.device import cores, tune
from cyclegan.distributed import started
from cyclegan.errors import UsageError, UserError, printable, require_extra
from cyclegan.execution import Switch
from cyclegan.hub import fetched
from cyclegan.images import Encoding
from cyclegan.progress import part, progress_bar, waiting
from cyclegan.recipes.materials import Styles
from cyclegan.run import FolderDirection, check_name
from cyclegan.tiling import Tiling

log = logging.getLogger(__name__)

_TOGETHER_ON_A_GPU = 8
_WAYS: tuple[FolderDirection, ...] = ("AtoB", "BtoA")


@dataclass(frozen=True)
class PictureConverter:
    """A converter of picture files with one generator: a reader, a network and a writer."""

    translator: Translator
    output: Output
    blend: Blend = field(default_factory=Blend)
    reading: Reading = field(default_factory=Reading)
    encoding: Encoding = field(default_factory=Encoding)
    advice: SizeAdvice = field(default_factory=SizeAdvice)
    also: Sequence[str] = ()
    """additional outputs, by name"""
    back: Translator | None = None
    """the other generator, where that needs it"""

    def __call__(self, todo: Sequence[Job], bar: Progress) -> list[str]:
        """Convert pictures; return a line for each that failed.

        The next ones are read and the last ones written meanwhile, each by half as many threads as
        there are cores; memory does not depend on the number of files.
        """
        task = bar.add_task("converting", total=len(todo), unit="pictures")
        many = 1 if self.translator.device.type == "cpu" else _TOGETHER_ON_A_GPU
        at_once, count = self.reading.batch_size or many, max(1, cores() // 2)
        most = 2 * (at_once + count - 1)
        values = self.reading.range or self.translator.generator.values
        failed: list[str] = []
        with (
            threads(count) as read,
            threads(1) as computed,
            threads(count, always_end=True) as written,
        ):
            storage = self.output.storage
            reader = Reader(self.reading, values, storage, at_once, most, read)
            how = (self.blend, self.advice, computed, self.also, self.back)
            network = Network(self.translator, *how)
            writer = Writer(self.output, self.encoding, written, most, failed)
            try:
                for jobs in self.output.claims.shared(todo):
                    for group in reader.groups(jobs, writer.fail):
                        made = network.convert(group, partial(part, bar, task), writer.fail)
                        writer.write(made, partial(bar.advance, task))
                    writer.end()
            except OutputError:
                for line in failed:
                    log.warning("%s", line)
                raise
            bar.update(task, completed=len(todo))
        return failed


@dataclass(frozen=True)
class Summary:
    """The outcome of a conversion."""

    converted: int = 0
    skipped: int = 0
    failed: tuple[str, ...] = ()


def convert(settings: ConvertSettings) -> int:
    """Convert the input, or the run's own test images; return the exit code.

    Prints a progress bar, where the page lies, and one line of counts; the code is 1 if pictures
    failed. Raises UserError if nothing can be converted at all.
    """
    if settings.merge:
        return _merge(settings)
    settings = replace(settings, device=started().device_of(settings.device))
    if settings.input is not None and settings.direction != "both":
        tell_mixed_up(settings.model, settings.input, settings.dataroot)
    each = [settings]
    if settings.direction == "both":
        if settings.input is not None and folder_of(settings.locations) != settings.target:
            raise UsageError(
                f"--output {settings.target}: --direction both writes two outputs: give a folder"
            )
        each = [replace(settings, direction=way, output=settings.target / way) for way in _WAYS]
    codes = []
    for one in map(with_input, each):
        with mirrored(one.locations, manifest.name_of(one.share)) as (locations, storage):
            codes.append(_one_way(one, locations, storage))
    return max(codes)


def _merge(settings: ConvertSettings) -> int:
    both = settings.direction == "both"
    folders = [settings.target / way for way in _WAYS] if both else [settings.target]
    title = f"Converted with {settings.name}" if settings.name else "Converted"
    return max(merge(folder, title) for folder in folders)


def with_input(settings: ConvertSettings) -> ConvertSettings:
    """Return the settings with an input: by default, test images of what is converted."""
    if settings.input is not None:
        return settings
    return replace(settings, input=test_images_of(settings.model, settings.dataroot))


def _one_way(settings: ConvertSettings, locations: Locations, storage: LocalStorage) -> int:
    shard = settings.share
    with waiting("looking for pictures"):
        whole = plan(locations, settings.selection)
        divide = storage.sees_others and not settings.temporal
        jobs = whole
        if shard is not None:
            jobs = shared_out(whole, shard, settings.load_size, divide=divide)
    if settings.dry_run:
        return _tell(jobs)
    settings.check()
    with waiting(f"loading {settings.name or fetched(settings.weights)}"):
        generator, blend = load_generator(settings.model), _blend(settings)
        blend.check(generator.architecture.input_nc, generator.architecture.output_nc)
        made_by = _digest(settings, blend, generator)
        todo = _unfinished(jobs, locations, made_by)
    folder = folder_of(locations)
    with claims(folder, overwrite=locations.overwrite) as ours:
        ours.tidy(jobs)
        failed: list[str] = []
        if todo:
            storage.begin(notes := manifest.name_of(shard))
            model = _as_before(settings.model, folder, made_by)
            with waiting("preparing the model"):
                translator = make_translator(
                    generator, model, settings.tiling, whole, settings.load_size
                )
            ledger = Ledger(folder, made_by, generator.digest, translator.execution, notes)
            output = Output(ledger, storage, ours)
            failed = _convert_all(settings, translator, output, blend, todo)
        converted = len(todo) - len(failed) - len(ours.found)
        failed += (foreign := _foreign(ours.found, folder, made_by))
        done = Summary(converted, len(jobs) - converted - len(failed), tuple(failed))
        for line in done.failed:
            log.warning("%s", printable(line))
        with ours.alone(PAGE):
            for job in (one for one in ours.begun if not one.is_done):
                line = f"{job.target}: {job.part} are made; the last shard joins all"
                _console().print(line, markup=False)
            rest = _standing(whole, folder, made_by, shard, storage)
            if rest is not None and not rest.left:
                jobs = whole
                end(whole, locations, f"Converted with {settings.name or generator.origin}")
        return max(_report(done, jobs, settings, rest), int(bool(foreign)))


def _standing(
    whole: Sequence[Job],
    folder: Path,
    made_by: str,
    shard: Shard | None,
    storage: LocalStorage,
) -> Standing | None:
    """Return how far the whole is after this process's part; None where that can't be seen."""
    if shard is None:
        return Standing()
    return Standing.of(whole, folder, made_by) if storage.sees_others else None


def _convert_all(
    settings: ConvertSettings,
    translator: Translator,
    output: Output,
    blend: Blend,
    todo: Sequence[Job],
) -> list[str]:
    """Convert pictures and videos; return a line for each that failed."""
    pictures = [job for job in todo if not is_video(job.source)]
    clips = [job for job in todo if is_video(job.source)]
    how = (translator, output, blend, settings.reading, settings.encoding)
    advice = _advice(settings, translator)
    failed: list[str] = []
    with progress_bar() as bar:
        if pictures:
            back = _way_back(settings, translator) if settings.also else None
            convert_pictures = PictureConverter(*how, advice, settings.also_made, back)
            failed += convert_pictures(pictures, bar)
        if clips:
            require_extra(str(clips[0].source), "video", "av")
            from cyclegan.conversion.clips import ClipConverter  # needs the extra

            convert_clips = ClipConverter(*how, advice, settings.temporal, settings.also_made)
            failed += convert_clips(clips, bar)
    return failed


def _way_back(settings: ConvertSettings, translator: Translator) -> Translator:
    """Load the other generator, computed as the first."""
    other = load_generator(settings.model, back=True)
    return Translator(other, translator.device, translator.execution, settings.tiling)


def _advice(settings: ConvertSettings, translator: Translator) -> SizeAdvice:
    """Return the advice on large pictures; none for users who have chosen for themselves."""
    if settings.load_size is not None or settings.tile != "auto":
        return SizeAdvice()
    return SizeAdvice(translator.generator.trained_side, translator.tiles)


def _as_before(model: ModelChoice, folder: Path, made_by: str) -> ModelChoice:
    """Return the model with automatic choices made as when the job began, so pictures match."""
    before = manifest.computed(folder, made_by)
    if before is None or before.precision is None:
        return model
    precision = before.precision if model.precision == "auto" else model.precision
    kept: Switch = "on" if before.compiled else "off"
    compile = kept if model.compile == "auto" else model.compile
    return replace(model, precision=precision, compile=compile)


def _foreign(found: Sequence[Job], folder: Path, made_by: str) -> list[str]:
    """Return a line for each output that another process made meanwhile, of something else."""
    made = manifest.read(folder) if found else {}
    return [
        f"{job.target}: written meanwhile by another process, from another input or with other "
        "options: give another --output"
        for job in found
        if job.entry_in(made, made_by) is None
    ]


def _tell(jobs: Sequence[Job]) -> int:
    console = _console()
    for job in jobs:
        part = "" if job.part is None else f" ({job.part})"
        console.print(f"{job.source} -> {job.target}{part}", markup=False)
    console.print(f"{len(jobs)} would be converted")
    return 0


def _blend(settings: ConvertSettings) -> Blend:
    """Build the blend that `settings` ask for. Raises UserError if a mask can't be read."""
    mask = None if settings.mask is None else Mask.read(settings.mask)
    return Blend(settings.strength, settings.keep_luminance, settings.keep_color, mask)


def load_generator(model: ModelChoice, *, back: bool = False) -> Generator:
    """Load the chosen generator, or with `back` the other one. Raises UserError."""
    one_file = model.weights is not None and not model.weights.is_dir()
    if one_file and model.epoch != "latest":
        raise UsageError(f"--epoch {model.epoch} goes with --name; --weights names one file")
    path = model.weights
    if model.name is not None:
        check_name(model.name)
        folder = model.checkpoints_dir / model.name
        path = folder if classic.is_folder(folder) else checkpoint.path_of(folder, model.epoch)
    assert path is not None
    generator = weights.load(
        path,
        model.direction,
        epoch=model.epoch,
        average=model.average,
        back=back,
        runtime=model.runtime,
        provider=model.provider,
        style_mix=model.style_mix,
        styles=Styles(model.style, model.style_weights),
        trust_code=model.trust_code,
    )
    if model.norm_statistics == "image":
        weights.use_image_statistics(generator.network)
    hint = weights.advice(generator, model.norm_statistics)
    if hint:
        log.warning("%s", hint)
    return generator


def make_translator(
    generator: Generator,
    model: ModelChoice,
    tiling: Tiling,
    jobs: Sequence[Job],
    load_size: int | None,
) -> Translator:
    """Build a translator with the execution that suits `jobs`. Raises UserError."""
    pixels = pixels_of_two_sizes(jobs, load_size)
    way = choose_way(generator, model.device, model.precision, model.compile, pixels)
    tune(way[0], same_size=pixels > 0)
    return Translator(generator, *way, tiling)


def _digest(settings: ConvertSettings, blend: Blend, generator: Generator) -> str:
    """Return a digest of all that decides the pixels.

    An output with the same digest need not be made again.
    """
    tile = settings.tile if settings.tile in ("fast", "dense") else "exact"  # as is "off"
    options = (settings.load_size, settings.norm_statistics, settings.precision, tile)
    rest = (settings.also, settings.quality, settings.chroma)
    more = ", ".join((repr(settings.range), blend.key, *map(repr, rest)))
    clips = (settings.temporal, settings.crf)
    return sha256(f"{generator.digest} {options} ({more}) {clips}".encode()).hexdigest()[:16]


def _unfinished(jobs: Sequence[Job], locations: Locations, made_by: str) -> list[Job]:
    """Return the jobs that are not finished.

    Raises UserError before anything else would be overwritten.
    """
    if locations.overwrite:
        return list(jobs)
    there = [job for job in jobs if os.path.exists(job.target)]  # noqa: PTH110 - of any length
    folder = folder_of(locations)
    made = manifest.read(folder)
    there = [job for job in there if job.source.exists()]  # what a list names may be gone
    foreign = [job for job in there if job.entry_in(made, made_by) is None]
    if foreign:
        raise UserError(
            f"{foreign[0].target}: already exists, made from another input or with other options "
            f"({len(foreign)} such files): give another --output, or --overwrite"
        )
    if folder == locations.target and (folder / PAGE).exists() and not made:
        raise UserError(
            f"{folder / PAGE}: already exists, and is not from cyclegan: give another --output, or "
            "--overwrite"
        )
    finished = {job.target for job in there}
    return [job for job in jobs if job.target not in finished]


def _report(
    done: Summary, jobs: Sequence[Job], settings: ConvertSettings, rest: Standing | None
) -> int:
    """Print how `jobs` came out, and what other shards have left; return the exit code.

    torchrun ends all processes after one that fails: only the last one tells that pictures did.
    """
    console, shard = _console(), settings.share
    if settings.reference is not None:
        for line in compare([job for job in jobs if job.is_done], settings.reference):
            console.print(line, markup=False)
    if rest is not None and rest.left:
        console.print(
            f"{rest.left} files of the whole job are not finished yet: the last shard writes the "
            "page, or cyclegan convert --merge"
        )
    console.print(
        f"{'' if shard is None else f'shard {shard}: '}{done.converted} converted, "
        f"{done.skipped} skipped (finished before), {len(done.failed)} failed"
    )
    if rest is None or started().size == 1:
        return int(bool(done.failed))
    return int(rest.failed > 0 and not rest.left)


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)
