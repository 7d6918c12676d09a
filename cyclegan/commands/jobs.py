"""Commands whose flags are one settings class: parse them, and do the job.

Everything heavy is imported where it is needed, so that `--help` and mistakes are answered at once.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cyclegan.flags import parse, refuse_classic
from cyclegan.packages import need
from cyclegan.progress import waiting

CONVERT = "convert images with a trained generator"
STYLIZE = "paint one picture like another one, without training"
SERVE = "convert pictures on a page in a browser, or over HTTP"
EXPORT = "write a trained generator as ONNX, TorchScript, OpenVINO and others"
EVALUATE = "measure how good a run's pictures are, or compare folders"
COMPARE = "show runs side by side on a page, and vote blind"
STUDY = "compare presets after the same training time, with errors"
DASHBOARD = "show training runs live in a browser (a Visdom server)"
SAMPLE = "make a small data set that needs no download"
CHECK = "look for what can't be trained on"


def convert(args: Sequence[str]) -> int:
    """Convert; return the exit code. Raises UserError."""
    from cyclegan.conversion import ConvertSettings

    refuse_classic(args, "convert")
    settings = parse(args, ConvertSettings, prog="cyclegan convert", about=CONVERT)
    settings.check()
    with waiting("starting convert"):
        from cyclegan.conversion.job import convert as job

    return job(settings)


def stylize(args: Sequence[str]) -> int:
    """Paint; return the exit code. Raises UserError."""
    from cyclegan.stylize import StylizeSettings

    settings = parse(args, StylizeSettings, prog="cyclegan stylize", about=STYLIZE)
    settings.check()
    with waiting("starting stylize"):
        from cyclegan.stylize.job import stylize as job

    return job(settings)


def serve(args: Sequence[str]) -> int:
    """Serve until stopped; return the exit code. Raises UserError."""
    from cyclegan.serving import ServeSettings

    settings = parse(args, ServeSettings, prog="cyclegan serve", about=SERVE)
    from cyclegan.serving.server import run

    return run(settings)


def export(args: Sequence[str]) -> int:
    """Export; return the exit code. Raises UserError."""
    from cyclegan.export import ExportSettings

    settings = parse(args, ExportSettings, prog="cyclegan export", about=EXPORT)
    settings.check()
    with waiting("starting export"):
        from cyclegan.export.job import export as job

    return job(settings)


def evaluate(args: Sequence[str]) -> int:
    """Measure; return the exit code. Raises UserError."""
    from cyclegan.evaluation import EvaluateSettings

    settings = parse(args, EvaluateSettings, prog="cyclegan evaluate", about=EVALUATE)
    settings.check()
    with waiting("starting evaluate"):
        from cyclegan.evaluation.evaluate import evaluate as job

    return job(settings)


def compare(args: Sequence[str]) -> int:
    """Write the page; return the exit code. Raises UserError."""
    from cyclegan.comparison import CompareSettings

    settings = parse(args, CompareSettings, prog="cyclegan compare", about=COMPARE)
    with waiting("starting compare"):
        from cyclegan.comparison.compare import compare as job

    return job(settings)


def study(args: Sequence[str]) -> int:
    """Train, measure and compare; return the exit code. Raises UserError."""
    from cyclegan.study import StudySettings

    settings = parse(args, StudySettings, prog="cyclegan study", about=STUDY)
    settings.check()
    with waiting("starting study"):
        from cyclegan.study.job import study as job

    return job(settings)


def dashboard(args: Sequence[str]) -> int:
    """Serve until stopped; return the exit code. Raises UserError."""
    from cyclegan.dashboard import DashboardSettings

    settings = parse(args, DashboardSettings, prog="cyclegan dashboard", about=DASHBOARD)
    need("cyclegan dashboard", "dashboard", "visdom", "tornado")
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


def data_check(args: Sequence[str]) -> int:
    """Look through a data set; return the exit code. Raises UserError."""
    folder = parse(args, DataCommand, prog="cyclegan data check", about=CHECK).folder
    from cyclegan.data.check import check

    return check(folder)
