"""Training benchmark: time, memory and arithmetic of a step, and time of the planned run."""

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from typing import Any

import torch

from cyclegan.assemble import make_recipe, tune_for, work_of
from cyclegan.benchmark import BenchmarkSettings
from cyclegan.benchmark.report import (
    BenchmarkReport,
    MeasuredArithmetic,
    Pairs,
    answer,
    gib,
    measure,
    measure_arithmetic,
    measure_memory,
    resident_peak,
)
from cyclegan.data.batch import Batch
from cyclegan.data.folders import list_images
from cyclegan.device import choose_device, wait_for
from cyclegan.errors import format_duration
from cyclegan.execution.choice import choose
from cyclegan.execution.execution import Execution
from cyclegan.execution.execution import from_table as execution_of
from cyclegan.settings import Settings, from_table
from cyclegan.training import captured
from cyclegan.training.step import LossWatch

#: Gives the device one training step; nothing waits for it.
TimedStep = Callable[[], object]

_TOGETHER = 10  # steps that a GPU is given before it is waited for, as training does


def run(settings: Settings, benchmark: BenchmarkSettings) -> int:
    """Run the benchmark, print its report and return the exit code. Raises UserError."""
    device = choose_device(settings.run.device)
    images = _images(settings)
    chosen = choose_for(settings, images, device)
    plain = Execution(device.type, torch.get_num_threads())
    ways = (as_classic(settings), plain), (settings, chosen)
    # Memory first: nothing may run beside the times.
    memory = measure_memory(__name__, *(_given(*way) for way in ways))
    step, chosen_step = (step_of(*way, device) for way in ways)
    times = _times(step, chosen_step, benchmark.pairs, device)
    arithmetic = arithmetic_of(step, times.chosen, settings, chosen, device)
    batches = work_of(settings, images).steps
    steps = -(-batches // settings.training.accumulate) if images else 0
    seconds = times.chosen * steps
    figures = {
        "plain": plain.describe(),
        "chosen": chosen.describe(),
        "time": times.table(),
        "memory": asdict(memory),
        **asdict(arithmetic),
        "steps": steps,
        "seconds": seconds,
    }
    planned = (
        f"the planned run: {steps} steps, about {format_duration(seconds)} and {gib(memory.chosen)}"
        if steps
        else "give --dataroot DIR to learn how long the planned run will take"
    )
    lines = (arithmetic.describe("a step"), planned)
    report = BenchmarkReport(
        plain.describe(), chosen.describe(), {"a step": times}, memory, lines, figures
    )
    report.show(json_only=benchmark.json)
    return 0


def choose_for(settings: Settings, images: int, device: torch.device) -> Execution:
    """Return the execution that a training on `images` per epoch would choose."""
    tune_for(settings, device)
    return choose(settings.execution, work_of(settings, images), device).execution


def as_classic(settings: Settings) -> Settings:
    """Return the same settings with the classic's execution."""
    return replace(settings, execution=replace(settings.execution, plain=True))


def step_of(settings: Settings, execution: Execution, device: torch.device) -> TimedStep:
    """Return a function that does what training does in a step, on images of noise.

    Step numbers begin where all networks learn, as they do in nearly all steps of a run.
    """
    torch.manual_seed(settings.run.seed)
    recipe = make_recipe(settings, execution, device)
    watch = LossWatch()
    batches = [_noise(settings, device) for _ in range(settings.training.accumulate)]
    numbers = count(max(phase.begins for phase in recipe.phases))
    compute = captured.step_of(recipe.phases, recipe.state, execution)

    def step() -> None:
        tune_for(settings, device)  # both ways take turns in one process
        number = next(numbers)
        watch.note(compute([batch.to(device) for batch in batches], number), number)

    return step


def arithmetic_of(
    plain: TimedStep, seconds: float, settings: Settings, chosen: Execution, device: torch.device
) -> MeasuredArithmetic:
    """Measure the arithmetic of a step: `plain` counts it, `chosen` takes `seconds` for it."""

    def counted() -> None:
        plain()
        tune_for(settings, device)  # the product that it is compared with is the chosen way's

    return measure_arithmetic(counted, seconds, chosen, device)


def _noise(settings: Settings, device: torch.device) -> Batch:
    """Return a batch of noise, as the loader gives batches."""
    n, side = settings.data.batch_size, settings.data.crop_size
    channels = (settings.networks.input_nc, settings.networks.output_nc)
    a, b = (torch.rand(n, each, side, side) * 2 - 1 for each in channels)
    batch = Batch(a, b)
    return batch.pin_memory() if device.type == "cuda" else batch


def _times(plain: TimedStep, chosen: TimedStep, pairs: int, device: torch.device) -> Pairs:
    """Return the seconds of a step of both executions."""
    together = 1 if device.type == "cpu" else _TOGETHER

    def several(step: TimedStep) -> None:
        for _ in range(together):
            step()
        wait_for(device)

    found = measure(lambda: several(plain), lambda: several(chosen), pairs, settle=True)
    return replace(found, plain=found.plain / together, chosen=found.chosen / together)


def peak_of(given: dict[str, Any]) -> int:
    """Return the peak bytes of this process, or of its GPU, after three steps."""
    settings = from_table(given["settings"], "benchmark")
    execution = execution_of(given["execution"])
    device = choose_device(settings.run.device)
    torch.set_num_threads(execution.threads or torch.get_num_threads())
    step = step_of(settings, execution, device)
    for _ in range(3):
        step()
    wait_for(device)
    return resident_peak(device)


def main() -> None:
    """Run the child process that measures memory."""
    answer(peak_of)


def _given(settings: Settings, execution: Execution) -> dict[str, Any]:
    return {"settings": settings.table(), "execution": execution.table()}


def _images(settings: Settings) -> int:
    """Return the images of an epoch; 0 without a data set."""
    data = settings.data
    if data.dataroot is None and (data.domain_A is None or data.domain_B is None):
        return 0
    found = [list_images(data.folder(domain))[: data.max_dataset_size] for domain in ("A", "B")]
    return max(len(paths) for paths in found) * data.crops_per_image
