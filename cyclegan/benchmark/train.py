"""Training steps: their time, memory and arithmetic, and what the planned run will take."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from cyclegan.assemble import make_recipe, work_of
from cyclegan.benchmark.arithmetic import measure_arithmetic
from cyclegan.benchmark.memory import answer, measure_memory, resident_peak
from cyclegan.benchmark.pairs import measure
from cyclegan.benchmark.report import Report, gib
from cyclegan.benchmark.settings import BenchmarkSettings
from cyclegan.data.feed import Batch
from cyclegan.data.folders import list_images
from cyclegan.device import choose_device, wait_for
from cyclegan.durations import spoken
from cyclegan.execution.choice import choose
from cyclegan.execution.execution import Execution
from cyclegan.execution.execution import from_table as execution_of
from cyclegan.settings import Settings, from_table
from cyclegan.training.step import run_step

Step = Callable[[], object]


def run(settings: Settings, benchmark: BenchmarkSettings) -> int:
    """Measure, print, and return the exit code. Raises UserError."""
    device = choose_device(settings.run.device)
    images = _images(settings)
    work = work_of(settings, images)
    chosen = choose(settings.execution, work, device).execution
    plain = Execution(device.type, torch.get_num_threads())
    # Memory first: nothing may run beside the times.
    memory = measure_memory(__name__, *(_given(settings, how) for how in (plain, chosen)))
    step, chosen_step = (step_of(settings, how, device) for how in (plain, chosen))
    times = measure(step, chosen_step, benchmark.pairs, settle=True)
    arithmetic = measure_arithmetic(step, times.chosen, chosen, device)
    count = work.steps if images else 0
    seconds = times.chosen * count
    figures = {
        "plain": plain.describe(),
        "chosen": chosen.describe(),
        "time": times.table(),
        "memory": asdict(memory),
        **asdict(arithmetic),
        "steps": count,
        "seconds": seconds,
    }
    planned = (
        f"the planned run: {count} steps, about {spoken(seconds)} and {gib(memory.chosen)}"
        if count
        else "give --dataroot DIR to learn how long the planned run will take"
    )
    lines = (arithmetic.describe("a step"), planned)
    report = Report(plain.describe(), chosen.describe(), {"a step": times}, memory, lines, figures)
    report.show(json_only=benchmark.json)
    return 0


def step_of(settings: Settings, execution: Execution, device: torch.device) -> Step:
    """A function that computes one training step on images of noise."""
    torch.manual_seed(settings.run.seed)
    recipe = make_recipe(settings, execution, device)
    n, side = settings.data.batch_size, settings.data.crop_size
    a, b = (
        torch.rand(n, channels, side, side, device=device) * 2 - 1
        for channels in (settings.networks.input_nc, settings.networks.output_nc)
    )

    def step() -> None:
        run_step(recipe.phases, recipe.state, [Batch(a, b)], apart=execution.apart)
        wait_for(device)

    return step


def peak_of(given: dict[str, Any]) -> int:
    """Peak bytes of this process, or of its GPU, after three steps."""
    settings = from_table(given["settings"], "benchmark")
    execution = execution_of(given["execution"])
    device = choose_device(settings.run.device)
    torch.set_num_threads(execution.threads or torch.get_num_threads())
    step = step_of(settings, execution, device)
    for _ in range(3):
        step()
    return resident_peak(device)


def main() -> None:
    """The child process that measures memory."""
    answer(peak_of)


def _given(settings: Settings, execution: Execution) -> dict[str, Any]:
    return {"settings": settings.table(), "execution": execution.table()}


def _images(settings: Settings) -> int:
    """Images of an epoch; 0 without a data set."""
    data = settings.data
    if data.dataroot is None and (data.domain_A is None or data.domain_B is None):
        return 0
    found = [list_images(data.folder(domain))[: data.max_dataset_size] for domain in ("A", "B")]
    return max(len(paths) for paths in found) * data.crops_per_image
