"""Conversion benchmark: read, float32 forward, write in sequence, against the converter."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import TypeAdapter
from rich.progress import Progress

from cyclegan import images
from cyclegan.atomic import temporary_folder
from cyclegan.benchmark import BenchmarkSettings
from cyclegan.benchmark.report import (
    BenchmarkReport,
    answer,
    measure,
    measure_arithmetic,
    measure_memory,
    resident_peak,
)
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.claims import claims
from cyclegan.conversion.files import Job, plan
from cyclegan.conversion.job import PictureConverter, load_generator, make_translator, with_input
from cyclegan.conversion.reader import scaled
from cyclegan.conversion.storage import LocalStorage
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.writer import Ledger, Output
from cyclegan.device import choose_device
from cyclegan.execution.execution import Execution
from cyclegan.metrics import mean_absolute_difference
from cyclegan.progress import waiting

AT_ONCE = 10  # images a pair
RATED = 20.0  # seconds at most that all images are converted for, to tell how many a second


def run(settings: ConvertSettings, benchmark: BenchmarkSettings) -> int:
    """Run the benchmark, print its report and return the exit code. Raises UserError.

    Each pair takes the next ten images; then the chosen execution converts all of them, or as many
    as take 20 seconds. The output folder is left untouched.
    """
    # Lossless, or the difference would be that of two encoders.
    settings = with_input(replace(settings, format=settings.format or "png"))
    memory = measure_memory(__name__, *(_given(settings, way) for way in _WAYS))
    jobs = plan(settings.locations, settings.selection)
    (plain, convert_plainly), (chosen, convert) = (way(settings, jobs) for way in _WAYS.values())
    with temporary_folder("cyclegan-benchmark-") as folder:
        first, second = folder / "plain", folder / "chosen"
        times = measure(
            _in_turns(convert_plainly, jobs, first),
            _in_turns(convert, jobs, second),
            benchmark.pairs,
        )
        levels = _difference(first, second)
        rated = _within(jobs, RATED * AT_ONCE / times.chosen)
        rate = _rate(convert, _into(rated, folder / "rated"))
    picture = images.to_tensor(_read(jobs[0], plain, settings))
    arithmetic = measure_arithmetic(
        lambda: plain.convert(picture), times.chosen / AT_ONCE, chosen.execution, plain.device
    )
    figures = {
        "plain": plain.execution.describe(),
        "chosen": chosen.execution.describe(),
        "images": min(len(jobs), (benchmark.pairs + 1) * AT_ONCE),
        "time": times.table(),
        "memory": asdict(memory),
        "levels": levels,
        "pictures_per_second": rate,
        **asdict(arithmetic),
    }
    BenchmarkReport(
        f"{plain.execution.describe()}; read, convert, write one after the other",
        f"{chosen.execution.describe()}; reading and writing in parallel",
        {f"{AT_ONCE} images": times},
        memory,
        (
            arithmetic.describe("for the first image"),
            f"mean difference of the pictures: {levels:.2f} of 255 levels",
            f"chosen, {len(rated)} images in a row: {rate:.3g} a second, file I/O included",
        ),
        figures,
    ).show(json_only=benchmark.json)
    return 0


TimedConversion = Callable[[Sequence[Job]], None]


def _plain(settings: ConvertSettings, jobs: Sequence[Job]) -> tuple[Translator, TimedConversion]:
    device = choose_device(settings.device)
    translator = Translator(load_generator(settings.model), device, Execution(device.type))

    def convert(jobs: Sequence[Job]) -> None:
        for job in jobs:
            picture = images.to_tensor(_read(job, translator, settings))
            images.write(images.to_image(translator.convert(picture)), job.target)

    return translator, convert


def _chosen(settings: ConvertSettings, jobs: Sequence[Job]) -> tuple[Translator, TimedConversion]:
    generator = load_generator(settings.model)
    translator = make_translator(
        generator, settings.model, settings.tiling, jobs, settings.load_size
    )

    def convert(jobs: Sequence[Job]) -> None:
        folder = jobs[0].target.parents[len(jobs[0].name.parents) - 1]
        ledger = Ledger(folder, "benchmark", generator.digest, translator.execution)
        with claims(folder, overwrite=True) as ours:
            convert_pictures = PictureConverter(
                translator,
                Output(ledger, LocalStorage(), ours),
                reading=settings.reading,
                encoding=settings.encoding,
            )
            convert_pictures(jobs, Progress(disable=True))

    return translator, convert


_WAYS = {"plain": _plain, "chosen": _chosen}


def _in_turns(convert: TimedConversion, jobs: Sequence[Job], folder: Path) -> Callable[[], None]:
    """Return a function that converts the next ten jobs, starting over after the last."""
    turns = cycle(_into(jobs, folder))
    return lambda: convert(list(islice(turns, AT_ONCE)))


def _within(jobs: Sequence[Job], most: float) -> Sequence[Job]:
    """Return the first jobs, at most `most`, but at least as many as a pair takes."""
    return jobs[: max(AT_ONCE, int(most))]


def _rate(convert: TimedConversion, jobs: Sequence[Job]) -> float:
    """Return images per second, from reading the first file to writing the last."""
    with waiting(f"converting {len(jobs)} images in a row"):
        begun = time.perf_counter()
        convert(jobs)
    return len(jobs) / (time.perf_counter() - begun)


def _into(jobs: Sequence[Job], folder: Path) -> list[Job]:
    return [replace(job, target=folder / job.name) for job in jobs]


def _read(job: Job, translator: Translator, settings: ConvertSettings) -> Image.Image:
    image = images.read(job.source, translator.generator.architecture.input_nc)
    size = scaled(image.size, settings.load_size)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _difference(plain: Path, chosen: Path) -> float:
    """Return the mean absolute difference over all pictures, in levels of 255."""
    names = [path.relative_to(plain) for path in plain.rglob("*") if path.is_file()]
    differences = [
        mean_absolute_difference(_tensor(plain / name), _tensor(chosen / name)) for name in names
    ]
    return 255 * sum(differences) / len(names)


def _tensor(path: Path) -> torch.Tensor:
    return images.to_tensor(images.read(path, 3))


_SETTINGS = TypeAdapter(ConvertSettings)


def _given(settings: ConvertSettings, way: str) -> dict[str, Any]:
    return {"settings": _SETTINGS.dump_python(settings, mode="json"), "way": way}


def peak_of(given: dict[str, Any]) -> int:
    """Return the peak bytes of this process, or of its GPU, after three images."""
    settings = _SETTINGS.validate_json(json.dumps(given["settings"]))
    jobs = plan(settings.locations, settings.selection)[:3]
    translator, convert = _WAYS[given["way"]](settings, jobs)
    with temporary_folder("cyclegan-benchmark-") as folder:
        convert(_into(jobs, folder))
    return resident_peak(translator.device)


def main() -> None:
    """Run the child process that measures memory."""
    answer(peak_of)
