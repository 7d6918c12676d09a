"""`cyclegan report`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cyclegan.flags import parse
from cyclegan.run import RunSettings, check_name
from cyclegan.run_folder import RunFolder

HELP = "write a page about a run that needs no server; --csv: a table of what it logged"


@dataclass(frozen=True)
class ReportCommand:
    """What the report command is given."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """name of the run"""
    checkpoints_dir: Path = RunSettings().checkpoints_dir
    """folder that holds the runs"""
    csv: tyro.conf.FlagCreatePairsOff[bool] = False
    """write losses.csv instead, for spreadsheets: a row for each record, a column for each name"""


def run(args: Sequence[str]) -> int:
    """Write the page, or the table; return the exit code. Raises UserError."""
    about = HELP
    command = parse(args, ReportCommand, prog="cyclegan report", about=about)
    check_name(command.name)
    run = RunFolder(command.checkpoints_dir / command.name)
    run.check()
    if command.csv:
        from cyclegan.loggers.jsonl import write_table

        sys.stdout.write(f"table: {write_table(run.path)}\n")
        return 0
    from cyclegan.loggers.report.logger import write_report
    from cyclegan.training.diary import LOGGED

    path = write_report(run.path, LOGGED)
    sys.stdout.write(f"look at it: {path.resolve().as_uri()}\n")
    return 0
