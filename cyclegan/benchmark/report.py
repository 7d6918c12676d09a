"""Timing of two executions in turn, their memory and arithmetic, and the report of the figures."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from cyclegan.device import wait_for
from cyclegan.errors import UserError, in_one_line
from cyclegan.execution.execution import TYPES, Execution
from cyclegan.progress import tracked, waiting


@dataclass(frozen=True)
class Ratio:
    """Ratio of chosen to plain time over all pairs: below 1 is faster."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Pairs:
    """Median seconds of both executions, and their ratio pair by pair."""

    plain: float
    chosen: float
    ratio: Ratio

    def table(self) -> dict[str, Any]:
        """Return the figures as plain builtins."""
        return asdict(self)


def measure(
    plain: Callable[[], object], chosen: Callable[[], object], pairs: int, *, settle: bool = False
) -> Pairs:
    """Run both `pairs` times in turn, after one run each that is not counted.

    With `settle` each runs twice in its turn and the second run counts: the first pays for what the
    other left in memory, which a training with one execution never meets.
    """
    with waiting("warming up"):
        plain()
        chosen()
    rounds = tracked(range(pairs), "measuring", "pairs")
    taken = [(_seconds(plain, settle=settle), _seconds(chosen, settle=settle)) for _ in rounds]
    ratios = [second / first for first, second in taken]
    return Pairs(
        statistics.median(first for first, _ in taken),
        statistics.median(second for _, second in taken),
        Ratio(min(ratios), statistics.median(ratios), max(ratios)),
    )


def _seconds(call: Callable[[], object], *, settle: bool) -> float:
    if settle:
        call()
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


@dataclass(frozen=True)
class PeakMemory:
    """Peak bytes of both executions, each in a process that does nothing else."""

    plain: int
    chosen: int
    ratio: float


def measure_memory(module: str, plain: Mapping[str, Any], chosen: Mapping[str, Any]) -> PeakMemory:
    """Pass both tables to `main` of a module of this package, each in a child process.

    Raises UserError where a child process fails.
    """
    ways = tracked((plain, chosen), "measuring memory", "ways")
    first, second = (_peak_in_a_child(module, given) for given in ways)
    return PeakMemory(first, second, second / first)


def answer(task: Callable[[dict[str, Any]], int]) -> None:
    """Read a table from stdin and write the peak to stdout, in the child process."""
    try:
        sys.stdout.write(f"{task(json.loads(sys.stdin.read()))}\n")
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_TOLD)


_TOLD = 3  # exit code of a child whose last line is for the user


def resident_peak(device: torch.device) -> int:
    """Return the most bytes that this process, or its GPU, has held so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    status = Path("/proc/self/status")
    if status.exists():  # rusage's peak is the parent's too, where a process was forked
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _peak_in_a_child(module: str, given: Mapping[str, Any]) -> int:
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import main; main()"],
        input=json.dumps(given, default=str),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if done.returncode == _TOLD:
            raise UserError(last)
        raise UserError(f"measuring memory failed: {in_one_line(last)}")
    return int(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class MeasuredArithmetic:
    """Multiply-adds of one call, and the rate at which they are computed."""

    multiply_adds: float
    rate: float
    """MACs per second of the chosen execution"""
    peak_rate: float
    """MACs per second of a large matrix product in the same precision"""

    def describe(self, call: str) -> str:
        """Return a line for people."""
        return (
            f"arithmetic: {self.multiply_adds / 1e9:.4g} G multiply-adds {call}, "
            f"{self.rate / 1e9:.3g} G/s of {self.peak_rate / 1e9:.3g} G/s in a matrix product "
            f"({self.rate / self.peak_rate:.0%})"
        )


def measure_arithmetic(
    plain: Callable[[], object], seconds: float, chosen: Execution, device: torch.device
) -> MeasuredArithmetic:
    """Count the multiply-adds of `plain`, which take the chosen execution `seconds`."""
    counter = FlopCounterMode(display=False)
    with counter:
        plain()
    count = counter.get_total_flops() / 2
    return MeasuredArithmetic(count, count / seconds, _peak_rate(chosen, device))


def _peak_rate(execution: Execution, device: torch.device) -> float:
    """Return the best rate of six products of two matrices, the first of which warms up."""
    side = 2048 if device.type == "cpu" else 8192  # it must take long enough to be seen
    matrix = torch.randn(side, side, device=device).to(TYPES[execution.precision] or torch.float32)
    best = float("inf")
    for _ in range(6):
        begun = time.perf_counter()
        matrix @ matrix
        wait_for(device)
        best = min(best, time.perf_counter() - begun)
    return side**3 / best


@dataclass(frozen=True)
class BenchmarkReport:
    """Report of a benchmark, for people and for programs."""

    plain: str
    """name of the baseline"""
    chosen: str
    times: Mapping[str, Pairs]
    """by what was done"""
    memory: PeakMemory | None = None
    lines: Sequence[str] = ()
    """additional lines of text"""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """the whole report, for --json"""

    def show(self, *, json_only: bool) -> None:
        """Print the report, as JSON only or as a table and lines."""
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
    """Format bytes as GiB."""
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
