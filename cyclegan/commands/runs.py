"""Commands that need no torch: `cyclegan runs`, `cyclegan report` and `cyclegan settings`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cyclegan.errors import UsageError, UserError
from cyclegan.flags import Glance, defaults_of, parse, parse_run
from cyclegan.plain import read_text
from cyclegan.run import RunFolder, RunSettings, check_name
from cyclegan.runs import RunSummary, list_runs
from cyclegan.settings import presets

RUNS = "list the runs with their status, progress and quality"


@dataclass(frozen=True)
class RunsCommand:
    """Flags of the runs command."""

    checkpoints_dir: Path = RunSettings().checkpoints_dir
    """folder that holds the runs"""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """print JSON, for programs"""


def runs(args: Sequence[str]) -> int:
    """Print the runs; return the exit code. Raises UserError."""
    command = parse(args, RunsCommand, prog="cyclegan runs", about=RUNS)
    if not command.checkpoints_dir.is_dir():
        raise UserError(
            f"--checkpoints_dir {command.checkpoints_dir}: no such folder; cyclegan train makes it"
        )
    found = list_runs(command.checkpoints_dir)
    if command.json:
        sys.stdout.write(json.dumps([_fields(one) for one in found]) + "\n")
    elif found:
        _print(found)
    else:
        sys.stdout.write(f"{command.checkpoints_dir}: no runs yet (cyclegan train starts one)\n")
    return 0


def _print(runs: Sequence[RunSummary]) -> None:
    """Print a table of the runs; off a terminal, one line for each run, however long its name."""
    terminal = sys.stdout.isatty()
    columns = ("run", "state", "images seen", "progress", "best figure")
    table = Table(*columns, box=None, pad_edge=False)
    table.columns[0].overflow = "fold"
    for one in runs:
        table.add_row(*map(escape, one.cells))
    Console(highlight=False, width=None if terminal else _WIDE).print(table)


_WIDE = 400  # columns: the longest name of a folder has 255


def _fields(one: RunSummary) -> dict[str, object]:
    return asdict(one) | {"progress": one.progress}


REPORT = "write a self-contained HTML report of a run; --csv: its logged values as a table"


@dataclass(frozen=True)
class ReportCommand:
    """Flags of the report command."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """name of the run"""
    checkpoints_dir: Path = RunSettings().checkpoints_dir
    """folder that holds the runs"""
    csv: tyro.conf.FlagCreatePairsOff[bool] = False
    """write losses.csv instead, for spreadsheets: a row per record, a column per name"""


def report(args: Sequence[str]) -> int:
    """Write a run's page or table; return the exit code. Raises UserError."""
    command = parse(args, ReportCommand, prog="cyclegan report", about=REPORT)
    check_name(command.name)
    folder = RunFolder(command.checkpoints_dir / command.name)
    folder.check()
    if command.csv:
        from cyclegan.loggers.jsonl import write_table

        sys.stdout.write(f"table: {write_table(folder.path)}\n")
        return 0
    from cyclegan.loggers.report import write_report
    from cyclegan.training.training_logger import LOGGED

    path = write_report(folder.path, LOGGED)
    sys.stdout.write(f"open in a browser: {path.resolve().as_uri()}\n")
    return 0


SETTINGS = "print the resolved settings as a TOML preset; --list: the available presets"


def settings(args: Sequence[str]) -> int:
    """Print the resolved settings, or list the presets; return the exit code. Raises UserError."""
    glance, rest = Glance(switches=["list"]).parse_known_args(args)
    if glance.list:
        if rest:
            raise UsageError(f"--list takes no other arguments: leave {rest[0]} out")
        sys.stdout.write(_listed())
        return 0
    command = parse_run(args, defaults_of(args), prog="cyclegan settings", about=SETTINGS)
    command.settings.check()
    if (recipe := command.settings.recipe).losses.weights:
        from cyclegan.losses.objective import check_terms  # it takes torch to know them

        check_terms(recipe.losses.weights, recipe.offers, recipe.model)
    import tomli_w

    sys.stdout.write(tomli_w.dumps(command.settings.table()))
    return 0


def _listed() -> str:
    """Return a line for each preset: its name, and its file's first line, which describes it."""
    width = max(map(len, presets()))
    firsts = {name: read_text(path).splitlines()[0] for name, path in presets().items()}
    return "".join(f"{name:<{width}}  {first.lstrip('# ')}\n" for name, first in firsts.items())
