"""Training steps: their time, memory and arithmetic, and what the planned run will take."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from cyclegan.assemble import work_of
from cyclegan.benchmark.pairs import Pairs, measure
from cyclegan.benchmark.settings import BenchmarkSettings
from cyclegan.data.feed import Batch
from cyclegan.data.folders import list_images
from cyclegan.device import choose_device, wait_for
from cyclegan.errors import UserError
from cyclegan.execution.choice import choose
from cyclegan.execution.execution import TYPES, Execution
from cyclegan.execution.execution import from_table as execution_of
from cyclegan.recipes import RECIPES
from cyclegan.settings import Settings, from_table
from cyclegan.training.step import run_step

Step = Callable[[], object]


@dataclass(frozen=True)
class Memory:
    """Peak bytes of a process that does nothing else."""

    plain: int
    chosen: int
    ratio: float


@dataclass(frozen=True)
class Report:
    """What was measured."""

    plain: str
    chosen: str
    time: Pairs
    memory: Memory
    multiply_adds: float
    """of a step"""
    rate: float
    """multiply-adds a second of the chosen execution"""
    peak_rate: float
    """multiply-adds a second of a large product of matrices in the same precision"""
    steps: int
    """of the planned run; 0 where no data set was given"""
    seconds: float
    """that the planned run will take"""


def run(settings: Settings, benchmark: BenchmarkSettings) -> int:
    """Measure, print, and return the exit code. Raises UserError."""
    device = choose_device(settings.run.device)
    images = _images(settings)
    work = work_of(settings, images)
    chosen = choose(settings.execution, work, device).execution
    plain = Execution(device.type, torch.get_num_threads())
    memory = _memory(settings, plain, chosen)  # first: nothing may run beside the times
    steps = {name: step_of(settings, how, device) for name, how in _ways(plain, chosen).items()}
    times = measure(steps["plain"], steps["chosen"], benchmark.pairs)
    count = _multiply_adds(steps["plain"])
    report = Report(
        plain.describe(),
        chosen.describe(),
        times,
        memory,
        count,
        count / times.chosen,
        _peak(chosen, device),
        work.steps if images else 0,
        times.chosen * work.steps if images else 0.0,
    )
    _print_json(report) if benchmark.json else _print(report)
    return 0


def step_of(settings: Settings, execution: Execution, device: torch.device) -> Step:
    """A function that computes one training step on images of noise."""
    torch.manual_seed(settings.run.seed)
    recipe = RECIPES[settings.run.model](
        settings.networks,
        settings.generator,
        settings.discriminator,
        settings.losses,
        settings.training,
        execution,
        seed=settings.run.seed,
        device=device,
    )
    n, side = settings.data.batch_size, settings.data.crop_size
    a, b = (
        torch.rand(n, channels, side, side, device=device) * 2 - 1
        for channels in (settings.networks.input_nc, settings.networks.output_nc)
    )

    def step() -> None:
        run_step(recipe.phases, recipe.state, [Batch(a, b)], apart=execution.apart)
        wait_for(device)

    return step


def peak_of(settings: Settings, execution: Execution) -> int:
    """Peak bytes of this process, or of its GPU, after three steps."""
    device = choose_device(settings.run.device)
    torch.set_num_threads(execution.threads or torch.get_num_threads())
    step = step_of(settings, execution, device)
    for _ in range(3):
        step()
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return _resident_peak()


def _resident_peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # rusage's peak is the parent's too, where a process was forked
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _memory(settings: Settings, plain: Execution, chosen: Execution) -> Memory:
    first, second = (_peak_in_a_child(settings, how) for how in (plain, chosen))
    return Memory(first, second, second / first)


def _peak_in_a_child(settings: Settings, execution: Execution) -> int:
    given = json.dumps({"settings": settings.table(), "execution": execution.table()})
    code = "from cyclegan.benchmark.train import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"measuring memory failed: {last[:200]}")
    return int(done.stdout.splitlines()[-1])


def main() -> None:
    """The child process that measures memory: settings on stdin, bytes on stdout."""
    given = json.loads(sys.stdin.read())
    settings = from_table(given["settings"], "benchmark")
    sys.stdout.write(f"{peak_of(settings, execution_of(given['execution']))}\n")


def _ways(plain: Execution, chosen: Execution) -> dict[str, Execution]:
    return {"plain": plain, "chosen": chosen}


def _images(settings: Settings) -> int:
    """Images of an epoch; 0 without a data set."""
    data = settings.data
    if data.dataroot is None and (data.domain_A is None or data.domain_B is None):
        return 0
    found = [list_images(data.folder(domain))[: data.max_dataset_size] for domain in ("A", "B")]
    return max(len(paths) for paths in found)


def _multiply_adds(step: Step) -> float:
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return counter.get_total_flops() / 2


def _peak(execution: Execution, device: torch.device) -> float:
    """The best rate of five products of two matrices of 2048 x 2048."""
    matrix = torch.randn(2048, 2048, device=device).to(TYPES[execution.precision] or torch.float32)
    best = float("inf")
    for _ in range(6):
        begun = time.perf_counter()
        matrix @ matrix
        wait_for(device)
        best = min(best, time.perf_counter() - begun)
    return 2048**3 / best


def _print_json(report: Report) -> None:
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


def _print(report: Report) -> None:
    table = Table("", "plain", "chosen", "ratio: median (min to max)")
    ratio = report.time.ratio
    table.add_row(
        "a step",
        f"{report.time.plain:.3g} s",
        f"{report.time.chosen:.3g} s",
        f"{ratio.median:.2f} ({ratio.min:.2f} to {ratio.max:.2f})",
    )
    memory = report.memory
    gib = [f"{value / 2**30:.2f} GiB" for value in (memory.plain, memory.chosen)]
    table.add_row("peak memory", *gib, f"{memory.ratio:.2f}")
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"plain:  {report.plain}\nchosen: {report.chosen}")
    console.print(table)
    console.print(
        f"arithmetic: {report.multiply_adds / 1e9:.4g} G multiply-adds a step, "
        f"{report.rate / 1e9:.3g} G/s of {report.peak_rate / 1e9:.3g} G/s in a matrix product "
        f"({report.rate / report.peak_rate:.0%})"
    )
    if report.steps:
        console.print(
            f"the planned run: {report.steps} steps, about "
            f"{timedelta(seconds=round(report.seconds))} and {gib[1]}"
        )
    else:
        console.print("give --dataroot DIR to learn how long the planned run will take")
