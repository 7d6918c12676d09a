"""How figures are told: a table for people, one line of JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from cyclegan.benchmark.memory import PeakMemory
from cyclegan.benchmark.pairs import Pairs


@dataclass(frozen=True)
class BenchmarkReport:
    """What was measured."""

    plain: str
    """what the plain way is"""
    chosen: str
    times: Mapping[str, Pairs]
    """by what was done"""
    memory: PeakMemory | None = None
    lines: Sequence[str] = ()
    """further sentences for people"""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """the whole report for programs"""

    def show(self, *, json_only: bool) -> None:
        """Print it."""
        if json_only:
            sys.stdout.write(json.dumps(dict(self.figures)) + "\n")
            return
        table = Table("", "plain", "chosen", "ratio: median (min to max)")
        for name, pairs in self.times.items():
            table.add_row(name, *_row(pairs))
        if self.memory is not None:
            table.add_row("peak memory", *_bytes(self.memory))
        console = Console(soft_wrap=True, highlight=False)
        console.print(f"plain:  {self.plain}\nchosen: {self.chosen}", markup=False)
        console.print(table)
        for line in self.lines:
            console.print(line, markup=False)


def gib(count: float) -> str:
    """Bytes as people read them."""
    return f"{count / 2**30:.2f} GiB"


def _row(pairs: Pairs) -> tuple[str, str, str]:
    ratio = pairs.ratio
    return (
        f"{pairs.plain:.3g} s",
        f"{pairs.chosen:.3g} s",
        f"{ratio.median:.3g} ({ratio.min:.3g} to {ratio.max:.3g})",
    )


def _bytes(memory: PeakMemory) -> tuple[str, str, str]:
    return gib(memory.plain), gib(memory.chosen), f"{memory.ratio:.2f}"
