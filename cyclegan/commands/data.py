"""`cyclegan data sample` and `cyclegan data check`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cyclegan.flags import parse

SAMPLE = "make a small data set that needs no download"
SAMPLE_AFTER_STOP = "what is written stays; the same command makes the rest"
CHECK = "look for what can't be trained on"


@dataclass(frozen=True)
class DataCommand:
    """What the data commands are given."""

    folder: Annotated[Path, tyro.conf.Positional]
    """folder of the data set"""


def _folder(args: Sequence[str], command: str, about: str) -> Path:
    return parse(args, DataCommand, prog=f"cyclegan {command}", about=about).folder


def sample(args: Sequence[str]) -> int:
    """Make the sample data set; return the exit code. Raises UserError."""
    folder = _folder(args, "data sample", SAMPLE)
    from cyclegan.data.sample import make_sample

    written = make_sample(folder)
    sys.stdout.write(f"{folder}: {written} images written\n")
    return 0


def check(args: Sequence[str]) -> int:
    """Look through a data set; return the exit code. Raises UserError."""
    folder = _folder(args, "data check", CHECK)
    from cyclegan.data.check import check as look_through

    return look_through(folder)
