"""`cyclegan report`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cyclegan.flags import parse
from cyclegan.run import RunSettings, check_name

HELP = "write a page about a run that needs no server"


@dataclass(frozen=True)
class ReportCommand:
    """What the report command is given."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """name of the run"""
    checkpoints_dir: Path = RunSettings().checkpoints_dir
    """folder that holds the runs"""


def run(args: Sequence[str]) -> int:
    """Write the page; return the exit code. Raises UserError."""
    about = HELP
    command = parse(args, ReportCommand, prog="cyclegan report", about=about)
    check_name(command.name)
    from cyclegan.loggers.report.logger import write_report

    path = write_report(command.checkpoints_dir / command.name)
    sys.stdout.write(f"look at it: {path.resolve().as_uri()}\n")
    return 0
