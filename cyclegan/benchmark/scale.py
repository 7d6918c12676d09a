"""Scale benchmark: what a training costs on many devices, from a step measured on one."""

import json
import math
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.optim import Optimizer

from cyclegan.assemble import make_recipe, tune_for, work_of
from cyclegan.benchmark import ScaleSettings
from cyclegan.data.batch import Batch
from cyclegan.device import choose_device, describe, wait_for
from cyclegan.distributed import Group, joined
from cyclegan.errors import format_duration
from cyclegan.execution.choice import choose
from cyclegan.execution.execution import Execution
from cyclegan.progress import tracked
from cyclegan.settings import Settings
from cyclegan.training.captured import Step, step_of
from cyclegan.training.gradient_sum import GradientSum, bytes_summed
from cyclegan.training.step import Recipe, run_step


@dataclass(frozen=True)
class Bucket:
    """Gradients that are summed together while others are computed."""

    before: float
    """seconds from when they are complete to the end of their phase"""
    size: int
    """bytes"""


@dataclass(frozen=True)
class StepTime:
    """A step of one device, measured."""

    seconds: float
    phases: tuple[tuple[Bucket, ...], ...]
    """what each phase would sum over devices, in that order"""


@dataclass(frozen=True)
class Link:
    """What connects each device with the next one of a ring, in both directions at once."""

    bandwidth: float
    """bytes a second"""
    latency: float
    """seconds"""

    def all_reduce(self, size: int, devices: int) -> float:
        """Return the seconds to sum `size` bytes over the devices of a ring.

        Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of
        workstations": 2 (n - 1) messages of size / n each.
        """
        return 2 * (devices - 1) * (self.latency + size / devices / self.bandwidth)

    def exposed(self, buckets: Sequence[Bucket], devices: int) -> float:
        """Return the seconds for which a phase waits, once computed, for the last of its sums.

        A bucket is summed once it is complete and those before it are summed.
        """
        end = -math.inf
        for bucket in buckets:
            end = max(end, -bucket.before) + self.all_reduce(bucket.size, devices)
        return max(0.0, end)


@dataclass(frozen=True)
class Plan:
    """What a step on several devices takes, predicted."""

    devices: int
    batch: int
    """images of the whole batch"""
    seconds: float
    """of a step"""
    efficiency: float
    """images a second of each device, relative to one alone with its whole batch"""

    @property
    def speed(self) -> float:
        """Images of each domain in a second."""
        return self.batch / self.seconds


def predicted(alone: Mapping[int, StepTime], batch: int, devices: int, link: Link) -> Plan:
    """Predict a step of `batch` images on some devices, from steps of one by its images."""
    share = math.ceil(batch / devices)
    step = alone[share]
    seconds = step.seconds + sum(link.exposed(phase, devices) for phase in step.phases)
    one = batch if batch in alone else share
    return Plan(devices, batch, seconds, alone[one].seconds / one * batch / seconds / devices)


def run(settings: Settings, scale: ScaleSettings) -> int:
    """Measure steps, print what many devices would take, and return the exit code.

    Under torchrun its processes measure at the same time, and then a step that they share, which is
    printed beside its prediction. Raises UserError.
    """
    with joined() as group:
        device = choose_device(group.device_of(settings.run.device))
        tune_for(settings, device)
        chosen = group.from_lead(lambda: choose(settings.execution, work_of(settings, 0), device))
        execution = chosen.execution
        torch.manual_seed(settings.run.seed)
        recipe = make_recipe(settings, execution, device)
        recipe.state.share(group)
        batch, link = settings.data.batch_size, Link(scale.bandwidth * 1e9, scale.latency * 1e-6)
        fixed = [n for n in scale.devices if n <= batch]
        shares = sorted({batch, *(math.ceil(batch / n) for n in (*fixed, group.size))})
        bench = _Bench(settings, recipe, device, scale.seconds)
        compute = step_of(recipe.phases, recipe.state, execution)
        seconds = {n: bench.seconds(compute, n) for n in tracked(shares, "measuring", "steps")}
        # Afterwards, as gradients then lie elsewhere than where a graph was captured.
        alone = {n: StepTime(seconds[n], bench.phases(execution, n)) for n in shares}
        sums = [bytes_summed(phase.optimizer) for phase in recipe.phases]
        plans = [predicted(alone, batch, n, link) for n in fixed]
        grown = [predicted(alone, batch * n, n, link) for n in scale.devices]
        figures: dict[str, Any] = {
            "device": describe(device),
            "execution": execution.describe(),
            "alone": seconds,
            "bytes": sums,
            "fixed": [asdict(plan) for plan in plans],
            "grown": [asdict(plan) for plan in grown],
        }
        if group.size > 1:
            together = step_of(recipe.phases, recipe.state, execution, group)
            measured = bench.seconds(together, batch, group)
            foreseen = predicted(alone, batch, group.size, link).seconds
            figures |= {"measured": measured, "predicted": foreseen}
        if group.leads:
            _show(figures, plans, grown, scale, sums)
    return 0


@dataclass(frozen=True)
class _Bench:
    """Times of steps on images of noise."""

    settings: Settings
    recipe: Recipe
    device: torch.device
    limit: float
    """seconds"""

    def seconds(self, compute: Step, images: int, group: Group = Group()) -> float:  # noqa: B008
        """Return the median seconds of a step of so many images, of all processes of a group."""
        batch, number = self._noise(images, group), max(p.begins for p in self.recipe.phases)
        for _ in range(_WARM_UP):
            self._timed(compute, batch, number)
        times: list[float] = []
        begun = time.perf_counter()
        while len(times) < _LEAST or not group.from_lead(self._spent(begun, times)):
            times.append(self._timed(compute, batch, number))
        return statistics.median(times)

    def phases(self, execution: Execution, images: int) -> tuple[tuple[Bucket, ...], ...]:
        """Return what each phase of a step of so many images would sum over devices, and when."""
        phases, number = self.recipe.phases, max(p.begins for p in self.recipe.phases)
        timelines = {one.name: _Timeline(one.optimizer, self.device) for one in phases}
        for _ in range(_WARM_UP):
            run_step(
                phases,
                self.recipe.state,
                [self._noise(images, Group())],
                number=number,
                backward_per_part=execution.backward_per_part,
                sums=timelines,
            )
            wait_for(self.device)
        return tuple(one.buckets() for one in timelines.values())

    def _spent(self, begun: float, times: list[float]) -> Callable[[], bool]:
        return lambda: len(times) >= _MOST or time.perf_counter() - begun > self.limit

    def _timed(self, compute: Step, batch: Batch, number: int) -> float:
        begun = time.perf_counter()
        compute([batch], number)
        wait_for(self.device)
        return time.perf_counter() - begun

    def _noise(self, images: int, group: Group) -> Batch:
        share, side = group.share(images), self.settings.data.crop_size
        own = images if share is None else share.stop - share.start
        channels = (self.settings.networks.input_nc, self.settings.networks.output_nc)
        a, b = (torch.rand(own, each, side, side, device=self.device) * 2 - 1 for each in channels)
        return replace(Batch(a, b), share=share)


_WARM_UP, _LEAST, _MOST = 3, 5, 200  # steps


class _Timeline(GradientSum):
    """Gradients of one process, which are not summed: it notes when they could be."""

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        super().__init__(optimizer, Group())
        self._device = device
        self._complete: list[tuple[Any, int]] = []

    def begin(self, kind: Hashable) -> None:
        super().begin(kind)
        self._complete = []

    def _sum(self, values: Tensor) -> None:
        self._complete.append((self._now(), values.nbytes))

    def _now(self) -> Any:
        """Return the time, of a GPU as an event: its work is launched long before it is done."""
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def buckets(self) -> tuple[Bucket, ...]:
        """Return what the last step could sum; losses are last, when all is computed."""
        end, _ = self._complete[-1]
        return tuple(Bucket(_between(begun, end), size) for begun, size in self._complete)


def _between(begun: Any, end: Any) -> float:
    return float(end - begun if isinstance(end, float) else begun.elapsed_time(end) / 1000)


def _show(
    figures: Mapping[str, object],
    fixed: list[Plan],
    grown: list[Plan],
    scale: ScaleSettings,
    sums: list[int],
) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if scale.json:
        console.print_json(json.dumps(figures))
        return
    console.print(
        f"measured on {figures['device']}, {figures['execution']}; a step sums "
        f"{' and '.join(f'{size / 1e6:.1f} MB' for size in sums)}; predicted for "
        f"{scale.bandwidth:g} GB/s and {scale.latency:g} us:"
    )
    for title, plans in (("the same whole batch", fixed), ("the batch on each device", grown)):
        console.print(_table(title, plans, scale.price))
    if "measured" in figures:
        console.print(
            f"measured here: {figures['measured']:.3f} s a step, predicted "
            f"{figures['predicted']:.3f} s"
        )
    if scale.seconds_per_picture:
        for devices in scale.devices:
            seconds = scale.pictures * scale.seconds_per_picture / devices
            cost = f", {seconds / 3600 * devices * scale.price:,.0f}" if scale.price else ""
            console.print(
                f"{scale.pictures:,} pictures in {devices} shards: {format_duration(seconds)}{cost}"
            )


def _table(title: str, plans: list[Plan], price: float) -> Table:
    table = Table(title=title)
    heads = ["devices", "batch", "step", "images/s", "efficiency", "a million images"]
    for head in [*heads, "costs"] if price else heads:
        table.add_column(head, justify="right")
    for plan in plans:
        hours = 1e6 / plan.speed / 3600
        row = [str(plan.devices), str(plan.batch), f"{plan.seconds:.3f} s", f"{plan.speed:,.1f}"]
        row += [f"{plan.efficiency:.0%}", format_duration(3600 * hours)]
        table.add_row(*row, *([f"{hours * plan.devices * price:,.0f}"] if price else []))
    return table
