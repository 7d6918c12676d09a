"""The command line: parse, delegate, report errors in one line."""

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NoReturn

import tyro

from cyclegan import classic_flags
from cyclegan.benchmark.settings import BenchmarkSettings
from cyclegan.errors import UsageError, UserError
from cyclegan.flags import Glance, RunCommand, parse, parse_run, preset_of, refuse_replaced
from cyclegan.run import RunSettings, check_name
from cyclegan.settings import Settings, changes, from_table, is_fixed, load_preset
from cyclegan.spelling import nearest


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 and 143 stopped."""
    try:
        code = run(sys.argv[1:])
    except UserError as error:
        sys.stderr.write(f"cyclegan: error: {error}\n")
        code = error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("cyclegan: interrupted\n")
        code = 130
    except BrokenPipeError:
        code = 1
    except OSError as error:  # what the system refuses: it knows the file and the reason best
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"cyclegan: error: {where}{error.strerror or error}\n")
        code = 1
    sys.exit(code)


def run(args: Sequence[str]) -> int:
    """Run one command; return its exit code. Raises UserError."""
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(_overview())
        return 0 if args else 2
    grouped = args[0] in {command.split()[0] for command in COMMANDS if " " in command}
    words = 2 if grouped and len(args) > 1 and not args[1].startswith("-") else 1
    name = " ".join(args[:words])
    if grouped and words == 1:
        sys.stdout.write(_overview(f"{name} "))
        return 0 if len(args) > 1 else 2
    if name not in COMMANDS:
        raise UsageError(
            f"{name}: no such command{nearest(name, COMMANDS)}; there are {', '.join(COMMANDS)}"
        )
    return COMMANDS[name].run(args[words:])


def _train(args: Sequence[str]) -> int:
    glance, _ = Glance(["name", "checkpoints_dir"], ["continue_train"]).parse_known_args(args)
    preset = preset_of(args)
    defaults = Settings() if preset is None else load_preset(preset)
    if glance.continue_train:
        return _resume(args, glance.checkpoints_dir, glance.name, defaults)
    command = _parse_train(args, defaults)
    command.settings.check()
    folder = command.settings.run.folder
    if folder.exists() and not {path.name for path in folder.iterdir()} <= _BEGINNINGS:
        raise UserError(
            f"{folder}: there already; --continue_train goes on with it, "
            "another --name starts a new run"
        )
    with _watched(command):
        from cyclegan import assemble

        signal = assemble.train(command.settings, init_weights=command.init_weights)
        return _end(signal, command)


def _resume(
    args: Sequence[str], checkpoints_dir: str | None, name: str | None, defaults: Settings
) -> int:
    """Go on with a run: its checkpoint's settings stand, typed flags override."""
    folder = Path(checkpoints_dir or defaults.run.checkpoints_dir) / (name or defaults.run.name)
    remembered = folder / "settings.toml"
    # Without torch first, so that a mistyped flag is answered at once.
    command = _parse_train(args, _remembered(remembered, defaults))
    if command.init_weights is not None:
        raise UsageError("--init_weights starts a new run: it can't go with --continue_train")
    command.settings.run.check()
    with _watched(command):
        return _go_on(args, folder)


def _go_on(args: Sequence[str], folder: Path) -> int:
    from cyclegan import assemble, checkpoint

    path = checkpoint.path_of(folder, "latest")
    saved = checkpoint.load(path)
    old = _at(from_table(saved.settings, str(path)), folder)
    command = _parse_train(args, old)
    command.settings.check()
    _tell_changes(old, command.settings, path)
    if saved.position.epoch > command.settings.training.last_epoch:
        sys.stdout.write(
            f"{folder}: trained to its last epoch, {command.settings.training.last_epoch}; "
            "a longer --n_epochs or --n_epochs_decay goes on\n"
        )
        return 0
    return _end(assemble.train(command.settings, resume=saved), command)


def _watched(command: RunCommand) -> AbstractContextManager[None]:
    """With --dashboard, a server for as long as the run lasts."""
    if not command.dashboard:
        return nullcontext()
    from cyclegan.dashboard.beside import dashboard_beside

    return dashboard_beside(command.settings.loggers, command.settings.run)


#: What a run leaves that ended before its first save: a new one may take its place.
_BEGINNINGS = {
    *(".lock", "settings.toml", ".settings.toml.unfinished"),
    *("journey.json", ".journey.json.unfinished", "losses.jsonl", "losses.csv"),
    *(".losses.jsonl.unfinished", ".losses.csv.unfinished", "report.html", "pictures"),
    *("tensorboard", "wandb", "wandb_id.txt", ".latest.pt.unfinished"),
}


def _remembered(path: Path, defaults: Settings) -> Settings:
    """The settings beside the checkpoint, to read flags by until it is loaded."""
    try:
        found = load_preset(path)
    except UsageError:  # missing or damaged: the checkpoint holds them too
        found = defaults
    return _at(found, path.parent)


def _at(settings: Settings, folder: Path) -> Settings:
    """The run is where it was found, whatever it was called when it was saved."""
    here = replace(settings.run, name=folder.name, checkpoints_dir=folder.parent)
    return replace(settings, run=here)


def _tell_changes(old: Settings, new: Settings, path: Path) -> None:
    """Say what differs from the checkpoint. Raises UsageError where a run can't change it."""
    for key, before, after in changes(old, new):
        flag = f"--{key.rpartition('.')[2]}"
        if is_fixed(key):
            raise UsageError(
                f"{flag} {after}: {path} was trained with {before}, which a run can't change: "
                "leave the flag out, or start a new run with another --name"
            )
        sys.stdout.write(f"changed since the checkpoint: {flag} {before} -> {after}\n")


def _parse_train(args: Sequence[str], defaults: Settings) -> RunCommand:
    return parse_run(args, defaults, prog="cyclegan train", about=COMMANDS["train"].help)


def _end(signal: int | None, command: RunCommand) -> int:
    """Say how the run ended; return the exit code."""
    run = command.settings.run
    words = ["--name", run.name]
    if run.checkpoints_dir != Path("checkpoints"):
        words += ["--checkpoints_dir", str(run.checkpoints_dir)]
    flags = shlex.join(words)
    if signal is None:
        sys.stdout.write(
            f"trained: {run.folder}\nconvert with: "
            f"cyclegan convert {flags} --input DIR --output DIR\n"
        )
        return 0
    sys.stdout.write(f"saved; go on with: cyclegan train {flags} --continue_train\n")
    return 128 + signal


def _convert(args: Sequence[str]) -> int:
    from cyclegan.conversion.settings import ConvertSettings

    refuse_replaced(args, classic_flags.CONVERT, "cyclegan convert")
    about = COMMANDS["convert"].help
    settings = parse(args, ConvertSettings, prog="cyclegan convert", about=about)
    from cyclegan.conversion.job import convert

    return convert(settings)


def _evaluate(args: Sequence[str]) -> int:
    from cyclegan.evaluation.settings import EvaluateSettings

    about = COMMANDS["evaluate"].help
    settings = parse(args, EvaluateSettings, prog="cyclegan evaluate", about=about)
    settings.check()
    from cyclegan.evaluation.evaluate import evaluate

    return evaluate(settings)


def _compare(args: Sequence[str]) -> int:
    from cyclegan.comparison.settings import CompareSettings

    about = COMMANDS["compare"].help
    settings = parse(args, CompareSettings, prog="cyclegan compare", about=about)
    from cyclegan.comparison.compare import compare

    return compare(settings)


def _dashboard(args: Sequence[str]) -> int:
    from cyclegan.dashboard.settings import DashboardSettings

    about = COMMANDS["dashboard"].help
    settings = parse(args, DashboardSettings, prog="cyclegan dashboard", about=about)
    from cyclegan.dashboard.server import run as run_server

    return run_server(settings)


def _benchmark_train(args: Sequence[str]) -> int:
    benchmark, settings = _benchmark_of_run(args, "benchmark train")
    from cyclegan.benchmark.train import run as run_benchmark

    return run_benchmark(settings, benchmark)


def _benchmark_load(args: Sequence[str]) -> int:
    benchmark, settings = _benchmark_of_run(args, "benchmark load")
    from cyclegan.benchmark.load import run as run_benchmark

    return run_benchmark(settings, benchmark)


def _benchmark_convert(args: Sequence[str]) -> int:
    from cyclegan.conversion.settings import ConvertSettings

    benchmark, rest = _benchmark(args)
    about = f"{COMMANDS['benchmark convert'].help}; takes --pairs N, --json and convert's flags"
    nowhere = ["--output", "benchmark"]  # nothing is written there
    settings = parse(
        [*nowhere, *rest], ConvertSettings, prog="cyclegan benchmark convert", about=about
    )
    from cyclegan.benchmark.convert import run as run_benchmark

    return run_benchmark(settings, benchmark)


def _benchmark(args: Sequence[str]) -> tuple[BenchmarkSettings, list[str]]:
    """The benchmark's own flags, and the rest."""
    own, rest = Glance(["pairs"], ["json"]).parse_known_args(args)
    start = BenchmarkSettings()
    if (own.pairs is not None and not own.pairs.isdecimal()) or own.pairs == "0":
        raise UsageError(f"--pairs {own.pairs}: a number from 1")
    return BenchmarkSettings(int(own.pairs or start.pairs), own.json), rest


def _benchmark_of_run(args: Sequence[str], name: str) -> tuple[BenchmarkSettings, Settings]:
    benchmark, rest = _benchmark(args)
    preset = preset_of(rest)
    defaults = Settings() if preset is None else load_preset(preset)
    about = f"{COMMANDS[name].help}; takes --pairs N, --json and the flags of train"
    command = parse_run(rest, defaults, prog=f"cyclegan {name}", about=about)
    command.settings.check()
    return benchmark, command.settings


def _settings(args: Sequence[str]) -> int:
    preset = preset_of(args)
    defaults = Settings() if preset is None else load_preset(preset)
    about = COMMANDS["settings"].help
    command = parse_run(args, defaults, prog="cyclegan settings", about=about)
    command.settings.check()
    import tomli_w

    sys.stdout.write(tomli_w.dumps(command.settings.table()))
    return 0


@dataclass(frozen=True)
class ReportCommand:
    """What the report command is given."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """name of the run"""
    checkpoints_dir: Path = RunSettings().checkpoints_dir
    """folder that holds the runs"""


def _report(args: Sequence[str]) -> int:
    about = COMMANDS["report"].help
    command = parse(args, ReportCommand, prog="cyclegan report", about=about)
    check_name(command.name)
    from cyclegan.loggers.report.logger import write_report

    path = write_report(command.checkpoints_dir / command.name)
    sys.stdout.write(f"look at it: {path.resolve().as_uri()}\n")
    return 0


@dataclass(frozen=True)
class DataCommand:
    """What the data commands are given."""

    folder: Annotated[Path, tyro.conf.Positional]
    """folder of the data set"""


def _data_folder(args: Sequence[str], command: str) -> Path:
    about = COMMANDS[command].help
    return parse(args, DataCommand, prog=f"cyclegan {command}", about=about).folder


def _data_sample(args: Sequence[str]) -> int:
    folder = _data_folder(args, "data sample")
    from cyclegan.data.sample import make_sample

    written = make_sample(folder)
    sys.stdout.write(f"{folder}: {written} images written\n")
    return 0


def _data_check(args: Sequence[str]) -> int:
    folder = _data_folder(args, "data check")
    from cyclegan.data.check import check

    return check(folder)


@dataclass(frozen=True)
class Command:
    """One command: what it does, in a line, and the function that takes its arguments."""

    help: str
    run: Callable[[Sequence[str]], int]


COMMANDS = {
    "train": Command("train two generators and two discriminators on two folders", _train),
    "report": Command("write a page about a run that needs no server", _report),
    "convert": Command("convert images with a trained generator", _convert),
    "evaluate": Command("measure how good a run's pictures are, or compare folders", _evaluate),
    "compare": Command("show two runs side by side on a page, and vote blind", _compare),
    "dashboard": Command("show training runs live in a browser (a Visdom server)", _dashboard),
    "data sample": Command("make a small data set that needs no download", _data_sample),
    "data check": Command("look for what can't be trained on", _data_check),
    "benchmark train": Command("measure training here: time, memory, plan", _benchmark_train),
    "benchmark load": Command(
        "measure loading here: decoding, scaling, the cache", _benchmark_load
    ),
    "benchmark convert": Command("measure conversion here: time, memory", _benchmark_convert),
    "settings": Command("print the resolved settings as a TOML preset", _settings),
}


def _overview(start: str = "") -> str:
    width = max(map(len, COMMANDS))
    rows = [
        f"  cyclegan {name:<{width}}  {command.help}\n"
        for name, command in COMMANDS.items()
        if name.startswith(start)
    ]
    return (
        "Unpaired style translation between two folders of images.\n\n"
        + "".join(rows)
        + "\nEach command has its own --help.\n"
    )
