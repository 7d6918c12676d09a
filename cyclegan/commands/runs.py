"""`cyclegan runs`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cyclegan.errors import UserError
from cyclegan.flags import parse
from cyclegan.run import RunSettings
from cyclegan.runs import RunSummary, list_runs

HELP = "list the runs: running, finished or stopped, how far, how good"


@dataclass(frozen=True)
class RunsCommand:
    """What the runs command is given."""

    checkpoints_dir: Path = RunSettings().checkpoints_dir
    """folder that holds the runs"""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """print JSON, for programs"""


def run(args: Sequence[str]) -> int:
    """Print the list; return the exit code. Raises UserError."""
    command = parse(args, RunsCommand, prog="cyclegan runs", about=HELP)
    if not command.checkpoints_dir.is_dir():
        raise UserError(
            f"--checkpoints_dir {command.checkpoints_dir}: no such folder; cyclegan train makes it"
        )
    runs = list_runs(command.checkpoints_dir)
    if command.json:
        sys.stdout.write(json.dumps([_fields(one) for one in runs]) + "\n")
    elif runs:
        _print(runs)
    else:
        sys.stdout.write(f"{command.checkpoints_dir}: no runs yet (cyclegan train starts one)\n")
    return 0


def _print(runs: Sequence[RunSummary]) -> None:
    """As a table; where it is no terminal, a line for each run, however long its name."""
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
