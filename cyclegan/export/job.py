"""The export job: write, read back, compare, and only then move the result into place."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from cyclegan import checkpoint
from cyclegan.atomic import check_absent, temporary_folder
from cyclegan.benchmark.report import measure
from cyclegan.classic import Architecture
from cyclegan.conversion import weights
from cyclegan.conversion.reader import scaled
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.weights import Generator
from cyclegan.data.folders import list_images
from cyclegan.errors import UsageError, UserError
from cyclegan.execution.execution import Execution
from cyclegan.export import ExportSettings
from cyclegan.export.formats import FORMATS, ExportFormat, Quantize
from cyclegan.export.network import Exportable, exportable
from cyclegan.images import read, to_tensor
from cyclegan.metrics import mean_absolute_difference
from cyclegan.progress import progress_bar, waiting
from cyclegan.recipes.materials import Styles
from cyclegan.runtimes.opened import first_line
from cyclegan.runtimes.table import parts

MEASURED = 4  # images
PAIRS = 5


def export(settings: ExportSettings) -> int:
    """Write the file or folder that `settings` name; return the exit code.

    Prints its name, its size and how much its pictures differ. Raises UserError; nothing has
    appeared or changed then.
    """
    kind = FORMATS[settings.format]
    if settings.int8 and kind.quantize is None:
        able = ", ".join(name for name, other in FORMATS.items() if other.quantize)
        raise UsageError(
            f"--int8: --format {settings.format} doesn't support it: give one of {able}"
        )
    generator = weights.load(
        _source(settings),
        settings.direction,
        epoch=settings.epoch,
        average=settings.average,
        style_mix=settings.style_mix,
        styles=Styles(settings.style, settings.style_weights),
        trust_code=settings.trust_code,
    )
    if generator.fixed:
        raise UsageError(f"{generator.origin}: already exported: give the checkpoint it came from")
    path = _target(settings, generator, kind)
    _check_free(path, kind, overwrite=settings.overwrite)
    runtime = kind.folder.runtime(settings.assets) if kind.folder else None
    given = exportable(generator, _name(settings, generator), runtime)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same file system, so that a file changes its name whole or not at all.
    with temporary_folder(".export-", path.parent) as folder:
        made, lines = _make(generator, given, settings, kind, folder / path.name)
        _check_free(path, kind, overwrite=settings.overwrite)
        if path.is_dir():
            path.rename(folder / "replaced")
        new_and_final = zip(_parts(made, kind), _parts(path, kind), strict=True)
        for new, final in reversed(list(new_and_final)):
            new.replace(final)
    size = sum(_size(part) for part in _parts(path, kind)) / 2**20
    names = " and ".join(str(part) for part in _parts(path, kind))
    console = Console(soft_wrap=True, highlight=False)
    for line in (f"{names}: {size:.1f} MB", *lines):
        console.print(line, markup=False)
    return 0


def _parts(path: Path, kind: ExportFormat) -> tuple[Path, ...]:
    return (path,) if kind.folder else parts(path)


def _check_free(path: Path, kind: ExportFormat, *, overwrite: bool) -> None:
    """Raise UserError if something is at `path` that may not be overwritten."""
    if kind.folder and path.exists() and not (path.is_dir() and kind.folder.is_one(path)):
        raise UserError(
            f"{path}: is there, and not as this format writes it: nothing in it is overwritten: "
            "give another --output"
        )
    for part in _parts(path, kind):
        check_absent(part, overwrite=overwrite)


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def _source(settings: ExportSettings) -> Path:
    if settings.name is None:
        assert settings.weights is not None
        return settings.weights
    return checkpoint.path_of(settings.checkpoints_dir / settings.name, settings.epoch)


def _target(settings: ExportSettings, generator: Generator, kind: ExportFormat) -> Path:
    """Return the path to write. Raises UsageError if its ending is another format's."""
    given = settings.output
    if given is None:
        words = [_name(settings, generator), generator.direction, "int8" if settings.int8 else None]
        name = "_".join(word for word in words if word) + kind.ending
        return Path(generator.origin).parent / name
    if kind.folder:
        return given
    if given.is_dir():
        raise UsageError(f"--output {given} is a folder: give a file that ends in {kind.ending}")
    if given.suffix != kind.ending:
        raise UsageError(
            f"--output {given}: a file of --format {settings.format} ends in {kind.ending}"
        )
    return given


def _name(settings: ExportSettings, generator: Generator) -> str:
    """Return the run's name, or the file's stem; a folder's own, as its files share names."""
    weights = settings.weights
    if settings.name is None and weights is not None and weights.is_dir():
        return weights.resolve().name
    return settings.name or Path(generator.origin).stem


def _make(
    generator: Generator,
    given: Exportable,
    settings: ExportSettings,
    kind: ExportFormat,
    path: Path,
) -> tuple[Path, list[str]]:
    """Write to `path` or beside it; return where, and lines on the result."""
    with progress_bar() as bar:
        task = bar.add_task(f"writing {settings.format}", total=2, unit="steps")
        with _quiet(f"--format {settings.format}"):
            kind.write(given, path)
        bar.update(task, advance=1, description="comparing")
        levels = differing_levels(generator, path / kind.folder.network if kind.folder else path)
        bar.update(task, advance=1)
    if not levels <= LARGEST_DIFFERENCE:
        raise UserError(
            f"--format {settings.format}: its pictures differ by {levels:.1f} of 255 levels, more "
            f"than {LARGEST_DIFFERENCE}: discarded; another --format may work"
        )
    line = f"read back: differs from the checkpoint by {levels:.4f} of 255 levels at the most"
    if not settings.int8:
        return path, [line]
    assert kind.quantize is not None
    return _quantized(given, generator, settings, kind.quantize, path)


def _quantized(
    given: Exportable,
    generator: Generator,
    settings: ExportSettings,
    quantize: Quantize,
    whole: Path,
) -> tuple[Path, list[str]]:
    images = _test_images(settings, generator.architecture)
    path = whole.parent / "int8" / whole.name
    path.parent.mkdir()
    metadata = replace(given.metadata, arithmetic="int8")
    with waiting("writing in 8 bits"), _quiet("--int8"):
        quantize(whole, path, images.calibrating, metadata)
    return path, [_compared(generator, path, images.measured)]


@contextmanager
def _quiet(what: str) -> Iterator[None]:
    """Send libraries' output to stderr, hide warnings, and raise UserError for their errors."""
    try:
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # each library has its own
        raise UserError(f"{what}: could not export this network ({first_line(error)})") from error
    finally:
        logging.disable(logging.NOTSET)


LARGEST_DIFFERENCE = 2.0  # of 255 levels

_PATTERN = (53, 75)  # pixels: no multiples of anything, and not the sides it was exported with


def differing_levels(generator: Generator, path: Path) -> float:
    """Return the largest difference on a test pattern, in levels of 255; `generator` is unchanged.

    Raises UserError if the file at `path` can't be read.
    """
    channels = generator.architecture.input_nc
    noise = torch.Generator().manual_seed(0)
    pattern = torch.rand(channels, *_PATTERN, generator=noise) * 2 - 1
    cpu = torch.device("cpu")
    expected = Translator(generator, cpu, Execution()).convert(pattern)
    found = Translator(weights.load(path, None, trust_code=True), cpu, Execution()).convert(pattern)
    return float((found - expected).abs().max()) * 127.5


@dataclass(frozen=True)
class _Images:
    """Images for calibration and measurement, disjoint unless there is only one."""

    calibrating: list[Tensor]
    """(1, C, H, W) in [-1, 1], sides as the network takes them"""
    measured: list[Tensor]
    """(C, H, W) in [-1, 1]"""


def _test_images(settings: ExportSettings, architecture: Architecture) -> _Images:
    """Load evenly spaced images of `settings.calibration`. Raises UserError if it holds none."""
    assert settings.calibration is not None
    paths = list_images(settings.calibration)
    step = -(-len(paths) // settings.calibration_images)
    found = [_image(path, settings.load_size, architecture) for path in paths[::step]]
    apart = min(MEASURED, len(found) // 2)
    calibrating = found[: len(found) - apart]
    return _Images([image[None] for image in calibrating], found[-apart:] if apart else found)


def _compared(generator: Generator, path: Path, measured: list[Tensor]) -> str:
    """Compare pictures and time with the plain float32 loop, run in turn; return one line."""
    cpu = torch.device("cpu")
    plain = Translator(generator, cpu, Execution())
    chosen = Translator(weights.load(path, None, trust_code=True), cpu, Execution())
    differences = [
        255 * mean_absolute_difference(chosen.convert(image), plain.convert(image))
        for image in measured
    ]
    times = measure(
        lambda: [plain.convert(image) for image in measured],
        lambda: [chosen.convert(image) for image in measured],
        PAIRS,
    )
    ratio = times.ratio
    return (
        f"int8: mean difference {sum(differences) / len(differences):.2f} of 255 levels, "
        f"{ratio.median:.2f} ({ratio.min:.2f} to {ratio.max:.2f}) of the time of PyTorch's plain "
        f"float32 loop ({len(measured)} images, {PAIRS} pairs in turn, "
        f"{torch.get_num_threads()} threads)"
    )


def _image(path: Path, side: int, architecture: Architecture) -> Tensor:
    """Read (C, H, W), the shorter side scaled to `side`, cut to sides that need no padding."""
    image = read(path, architecture.input_nc)
    image = image.resize(scaled(image.size, side), Image.Resampling.BICUBIC)
    step = architecture.generator.multiple
    width, height = (max(2, length // step) * step for length in image.size)
    return to_tensor(image.crop((0, 0, width, height)))
