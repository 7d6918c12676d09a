"""Commands whose flags are one settings class: parse the flags and do the job.

Heavy modules are imported where they are needed, so that `--help` and mistakes are answered at
once.
"""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cyclegan.errors import UsageError, require_extra
from cyclegan.flags import Glance, defaults_of, parse, parse_run, refuse_classic
from cyclegan.settings import Settings

if TYPE_CHECKING:
    from cyclegan.benchmark import BenchmarkSettings

CONVERT = "convert images with a trained generator"
STYLIZE = "transfer the style of one image to another by optimisation, without training"
SERVE = "serve a web page and an HTTP API that convert images"
EXPORT = "export a trained generator to ONNX, TorchScript, OpenVINO and other formats"
PUSH = "upload a trained model to the Hugging Face Hub, with a model card"
CARD = "write the model card of a run"
EVALUATE = "measure the quality of a run's conversions, or compare two folders of images"
COMPARE = "compare runs side by side on a page, with blind voting"
STUDY = "compare presets trained for the same time, with error estimates"
SWEEP = "tune a preset's settings (hyperparameter search)"
DASHBOARD = "show training runs live in a browser (a Visdom server)"
SAMPLE = "create a small sample data set, without a download"
DOWNLOAD = "download a published data set by name; without a name, list them"
CHECK = "check a data set for images that can't be trained on"


def _starting(command: str) -> AbstractContextManager[None]:
    """Show that the modules of a command are being imported."""
    from cyclegan.progress import waiting

    return waiting(f"starting {command}")


def convert(args: Sequence[str]) -> int:
    """Convert images; return the exit code. Raises UserError."""
    from cyclegan.conversion import ConvertSettings

    refuse_classic(args, "convert")
    settings = parse(args, ConvertSettings, prog="cyclegan convert", about=CONVERT)
    settings.check()
    with _starting("convert"):
        from cyclegan.conversion.job import convert as job

    return job(settings)


def stylize(args: Sequence[str]) -> int:
    """Paint a picture like another one; return the exit code. Raises UserError."""
    from cyclegan.stylize import StylizeSettings

    settings = parse(args, StylizeSettings, prog="cyclegan stylize", about=STYLIZE)
    settings.check()
    with _starting("stylize"):
        from cyclegan.stylize.job import stylize as job

    return job(settings)


def serve(args: Sequence[str]) -> int:
    """Serve the conversion page until stopped; return the exit code. Raises UserError."""
    from cyclegan.serving import ServeSettings

    settings = parse(args, ServeSettings, prog="cyclegan serve", about=SERVE)
    from cyclegan.serving.server import run

    return run(settings)


def export(args: Sequence[str]) -> int:
    """Export a generator; return the exit code. Raises UserError."""
    from cyclegan.export import ExportSettings

    settings = parse(args, ExportSettings, prog="cyclegan export", about=EXPORT)
    settings.check()
    with _starting("export"):
        from cyclegan.export.job import export as job

    return job(settings)


def push(args: Sequence[str]) -> int:
    """Push a run's generators to the hub; return the exit code. Raises UserError."""
    from cyclegan.export import PushSettings

    settings = parse(args, PushSettings, prog="cyclegan push", about=PUSH)
    settings.check()
    require_extra("cyclegan push", "hub", "huggingface_hub", "safetensors")
    with _starting("push"):
        from cyclegan.export.push import push as job

    return job(settings)


def card(args: Sequence[str]) -> int:
    """Write a run's model card; return the exit code. Raises UserError."""
    from cyclegan.export import CardSettings

    settings = parse(args, CardSettings, prog="cyclegan card", about=CARD)
    settings.check()
    with _starting("card"):
        from cyclegan.export.push import write_card as job

    return job(settings)


def evaluate(args: Sequence[str]) -> int:
    """Measure a run's pictures; return the exit code. Raises UserError."""
    from cyclegan.evaluation import EvaluateSettings

    settings = parse(args, EvaluateSettings, prog="cyclegan evaluate", about=EVALUATE)
    settings.check()
    with _starting("evaluate"):
        from cyclegan.evaluation.evaluate import evaluate as job

    return job(settings)


def compare(args: Sequence[str]) -> int:
    """Write the page that compares runs; return the exit code. Raises UserError."""
    from cyclegan.comparison import CompareSettings

    settings = parse(args, CompareSettings, prog="cyclegan compare", about=COMPARE)
    with _starting("compare"):
        from cyclegan.comparison.compare import compare as job

    return job(settings)


def study(args: Sequence[str]) -> int:
    """Train, measure and compare presets; return the exit code. Raises UserError."""
    from cyclegan.study import StudySettings

    settings = parse(args, StudySettings, prog="cyclegan study", about=STUDY)
    settings.check()
    with _starting("study"):
        from cyclegan.study.job import study as job

    return job(settings)


def sweep(args: Sequence[str]) -> int:
    """Try settings of a preset; return the exit code. Raises UserError."""
    from cyclegan.sweep import SweepSettings

    settings = parse(args, SweepSettings, prog="cyclegan sweep", about=SWEEP)
    settings.check()
    require_extra("cyclegan sweep", "sweep", "optuna")
    with _starting("sweep"):
        from cyclegan.sweep.sweep import sweep as job

    return job(settings)


def dashboard(args: Sequence[str]) -> int:
    """Serve the dashboard until stopped; return the exit code. Raises UserError."""
    from cyclegan.dashboard import DashboardSettings

    settings = parse(args, DashboardSettings, prog="cyclegan dashboard", about=DASHBOARD)
    require_extra("cyclegan dashboard", "dashboard", "visdom", "tornado")
    from cyclegan.dashboard.server import run

    return run(settings)


@dataclass(frozen=True)
class DataCommand:
    """Flags of the data commands."""

    folder: Annotated[Path, tyro.conf.Positional]
    """folder of the data set"""


def data_sample(args: Sequence[str]) -> int:
    """Make the sample data set; return the exit code. Raises UserError."""
    folder = parse(args, DataCommand, prog="cyclegan data sample", about=SAMPLE).folder
    from cyclegan.data.sample import make_sample

    written = make_sample(folder)
    sys.stdout.write(f"{folder}: {written} images written\n")
    return 0


@dataclass(frozen=True)
class DownloadCommand:
    """Flags of `data download`."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """name of the data set; by default all are listed"""
    folder: Annotated[Path | None, tyro.conf.Positional] = None
    """folder to create; by default datasets/NAME"""
    source: str | None = None
    """URL of a mirror to download the archives from"""


def data_download(args: Sequence[str]) -> int:
    """Download a data set, or list those there are; return the exit code. Raises UserError."""
    command = parse(args, DownloadCommand, prog="cyclegan data download", about=DOWNLOAD)
    from cyclegan.data.published import SOURCE, download, listed

    if command.name is None:
        sys.stdout.write(listed())
        return 0
    folder = command.folder or Path("datasets") / command.name
    images = download(command.name, folder, command.source or SOURCE)
    sys.stdout.write(f"{folder}: {images} images; where they are from: {folder / 'SOURCE.txt'}\n")
    return 0


def data_check(args: Sequence[str]) -> int:
    """Check a data set; return the exit code. Raises UserError."""
    folder = parse(args, DataCommand, prog="cyclegan data check", about=CHECK).folder
    from cyclegan.data.check import check

    return check(folder)


BENCHMARK_TRAIN = "benchmark training on this machine: time, memory, estimate of the planned run"
BENCHMARK_SCALE = "predict multi-device training time from steps measured on this machine"
BENCHMARK_LOAD = "benchmark data loading on this machine: decoding, resizing, cache"
BENCHMARK_CONVERT = "benchmark conversion on this machine: time, memory"
BENCHMARK_DEVICE = "benchmark a device: arithmetic throughput, training steps, conversion"


def benchmark_train(args: Sequence[str]) -> int:
    """Measure training; return the exit code. Raises UserError."""
    benchmark, settings = _of_run(args, "train", BENCHMARK_TRAIN)
    with _starting("benchmark train"):
        from cyclegan.benchmark.train import run as run_benchmark

    return run_benchmark(settings, benchmark)


def benchmark_scale(args: Sequence[str]) -> int:
    """Plan a training on many devices; return the exit code. Raises UserError."""
    from cyclegan.benchmark import ScaleSettings

    prog, own = "cyclegan benchmark scale", {one.name for one in fields(ScaleSettings)} - {"json"}
    about = f"{BENCHMARK_SCALE}; takes the flags of train, too"
    found, rest = Glance(sorted(own), ["json"]).parse_known_args(args)
    given = [
        [f"--{name}", *value.split(",")]
        for name, value in vars(found).items()
        if name in own and value
    ]
    help = ["--help"] if {"--help", "-h"} & {*rest} else []
    switches = ["--json"] if found.json else []
    scale = parse([*chain(*given), *switches, *help], ScaleSettings, prog=prog, about=about)
    command = parse_run(rest, defaults_of(rest), prog=prog, about=about)
    command.settings.check()
    with _starting("benchmark scale"):
        from cyclegan.benchmark.scale import run as run_benchmark

    return run_benchmark(command.settings, scale)


def benchmark_load(args: Sequence[str]) -> int:
    """Measure loading; return the exit code. Raises UserError."""
    benchmark, settings = _of_run(args, "load", BENCHMARK_LOAD)
    with _starting("benchmark load"):
        from cyclegan.benchmark.load import run as run_benchmark

    return run_benchmark(settings, benchmark)


def benchmark_convert(args: Sequence[str]) -> int:
    """Measure conversion; return the exit code. Raises UserError."""
    from cyclegan.conversion import ConvertSettings

    benchmark, rest = _own(args)
    about = f"{BENCHMARK_CONVERT}; takes --pairs N, --json and convert's flags"
    nowhere = ["--output", "benchmark"]  # nothing is written there
    settings = parse(
        [*nowhere, *rest], ConvertSettings, prog="cyclegan benchmark convert", about=about
    )
    settings.check()
    with _starting("benchmark convert"):
        from cyclegan.benchmark.convert import run as run_benchmark

    return run_benchmark(settings, benchmark)


def benchmark_device(args: Sequence[str]) -> int:
    """Measure a device; return the exit code. Raises UserError."""
    from cyclegan.benchmark import DeviceBenchmarkSettings

    prog = "cyclegan benchmark device"
    settings = parse(args, DeviceBenchmarkSettings, prog=prog, about=BENCHMARK_DEVICE)
    with _starting("benchmark device"):
        from cyclegan.benchmark.throughput import run as run_benchmark

    return run_benchmark(settings)


def _own(args: Sequence[str]) -> tuple["BenchmarkSettings", list[str]]:
    """Split the arguments into the benchmark's own settings and the rest."""
    from cyclegan.benchmark import BenchmarkSettings

    own, rest = Glance(["pairs"], ["json"]).parse_known_args(args)
    start = BenchmarkSettings()
    if (own.pairs is not None and not own.pairs.isdecimal()) or own.pairs == "0":
        raise UsageError(f"--pairs {own.pairs}: must be at least 1")
    return BenchmarkSettings(int(own.pairs or start.pairs), own.json), rest


def _of_run(args: Sequence[str], name: str, about: str) -> tuple["BenchmarkSettings", Settings]:
    benchmark, rest = _own(args)
    about = f"{about}; takes --pairs N, --json and the flags of train"
    command = parse_run(rest, defaults_of(rest), prog=f"cyclegan benchmark {name}", about=about)
    command.settings.check()
    return benchmark, command.settings
