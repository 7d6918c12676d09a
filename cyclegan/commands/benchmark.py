"""`cyclegan benchmark train`, `load`, `convert` and `device`."""

from collections.abc import Sequence

from cyclegan.benchmark import BenchmarkSettings, DeviceBenchmarkSettings
from cyclegan.errors import UsageError
from cyclegan.flags import Glance, defaults_of, parse, parse_run
from cyclegan.progress import waiting
from cyclegan.settings import Settings

TRAIN = "measure training here: time, memory, plan"
LOAD = "measure loading here: decoding, scaling, the cache"
CONVERT = "measure conversion here: time, memory"
DEVICE = "measure what a device reaches: arithmetic, steps, conversion"


def train(args: Sequence[str]) -> int:
    """Measure; return the exit code. Raises UserError."""
    benchmark, settings = _of_run(args, "train", TRAIN)
    with waiting("starting benchmark train"):
        from cyclegan.benchmark.train import run as run_benchmark

    return run_benchmark(settings, benchmark)


def load(args: Sequence[str]) -> int:
    """Measure; return the exit code. Raises UserError."""
    benchmark, settings = _of_run(args, "load", LOAD)
    with waiting("starting benchmark load"):
        from cyclegan.benchmark.load import run as run_benchmark

    return run_benchmark(settings, benchmark)


def convert(args: Sequence[str]) -> int:
    """Measure; return the exit code. Raises UserError."""
    from cyclegan.conversion import ConvertSettings

    benchmark, rest = _own(args)
    about = f"{CONVERT}; takes --pairs N, --json and convert's flags"
    nowhere = ["--output", "benchmark"]  # nothing is written there
    settings = parse(
        [*nowhere, *rest], ConvertSettings, prog="cyclegan benchmark convert", about=about
    )
    settings.check()
    with waiting("starting benchmark convert"):
        from cyclegan.benchmark.convert import run as run_benchmark

    return run_benchmark(settings, benchmark)


def device(args: Sequence[str]) -> int:
    """Measure; return the exit code. Raises UserError."""
    prog = "cyclegan benchmark device"
    settings = parse(args, DeviceBenchmarkSettings, prog=prog, about=DEVICE)
    with waiting("starting benchmark device"):
        from cyclegan.benchmark.throughput import run as run_benchmark

    return run_benchmark(settings)


def _own(args: Sequence[str]) -> tuple[BenchmarkSettings, list[str]]:
    """The benchmark's own flags, and the rest."""
    own, rest = Glance(["pairs"], ["json"]).parse_known_args(args)
    start = BenchmarkSettings()
    if (own.pairs is not None and not own.pairs.isdecimal()) or own.pairs == "0":
        raise UsageError(f"--pairs {own.pairs}: a number from 1")
    return BenchmarkSettings(int(own.pairs or start.pairs), own.json), rest


def _of_run(args: Sequence[str], name: str, about: str) -> tuple[BenchmarkSettings, Settings]:
    benchmark, rest = _own(args)
    about = f"{about}; takes --pairs N, --json and the flags of train"
    command = parse_run(rest, defaults_of(rest), prog=f"cyclegan benchmark {name}", about=about)
    command.settings.check()
    return benchmark, command.settings
