"""Device benchmark: arithmetic, training steps and conversion, each while there is time left."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from cyclegan import checkpoint
from cyclegan.atomic import atomic_write, temporary_folder
from cyclegan.benchmark import DeviceBenchmarkSettings
from cyclegan.benchmark.train import TimedStep, arithmetic_of, as_classic, choose_for, step_of
from cyclegan.checkpoint import Checkpoint
from cyclegan.device import choose_device, describe, ran_out_of_memory, tune, wait_for
from cyclegan.errors import UserError, in_one_line
from cyclegan.execution.execution import Execution
from cyclegan.plain import from_json
from cyclegan.progress import waiting
from cyclegan.run import Position
from cyclegan.settings import Settings, from_table

Figures = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """Device, size and deadline of a device benchmark."""

    device: torch.device
    tiny: bool
    ends: float
    """on the monotonic clock"""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.ends - time.monotonic()

    @property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes of the measured steps."""
        return (1, 4, 16) if self.device.type == "cuda" and not self.tiny else (1,)

    def training(self, batch: int) -> Settings:
        """Return settings like the classic's, or tiny ones to try the benchmark out.

        The classic's size: 256 pixels, 64 feature maps, 9 blocks.
        """
        table: dict[str, dict[str, Any]] = {"data": {"batch_size": batch}}
        if self.tiny:
            table["data"] |= {"crop_size": 64, "load_size": 64}
            table |= {"generator": {"ngf": 8, "n_blocks": 2}, "discriminator": {"ndf": 8}}
        return from_table(table, "benchmark")


@dataclass(frozen=True)
class Section:
    """One part of the device benchmark."""

    measure: Callable[[Bench], Figures]
    seconds: float
    """minimum duration on a GPU"""


def run(settings: DeviceBenchmarkSettings) -> int:
    """Measure, print, and return the exit code: 1 where a part failed. Raises UserError."""
    bench = Bench(
        choose_device(settings.device), settings.tiny, time.monotonic() + settings.seconds
    )
    found: dict[str, Figures] = {}
    for name in settings.sections(SECTIONS):
        with waiting(f"measuring {name}"):
            found[name] = _measured(SECTIONS[name], bench)
        if settings.into is not None:
            _write(found, settings.into)
    if settings.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        _show(found)
    return 1 if any("error" in each for each in found.values()) else 0


def _measured(section: Section, bench: Bench) -> Figures:
    if bench.left < section.seconds and not bench.tiny:
        return {"left out": f"{bench.left:.0f} s left, needs {section.seconds:.0f}"}
    begun = time.monotonic()
    try:
        found = section.measure(bench)
    except (RuntimeError, OSError, UserError, subprocess.SubprocessError) as error:
        found = {"error": f"{type(error).__name__}: {in_one_line(str(error))}"}
    return found | {"seconds": round(time.monotonic() - begun, 1)}


def _write(found: Mapping[str, Figures], path: Path) -> None:
    """Write the figures into the JSON file, keeping what others wrote there."""
    there = from_json(path.read_bytes()) if path.exists() else {}
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(there | {"measured": found}, indent=1) + "\n")


def _card(bench: Bench) -> Figures:
    """Return facts about the device and the software."""
    found: Figures = {"device": describe(bench.device), "cpus": os.cpu_count()}
    found |= {"python": platform.python_version(), "torch": torch.__version__}
    if bench.device.type == "cuda":
        card = torch.cuda.get_device_properties(bench.device)
        found |= {"memory_gib": _short(card.total_memory / 2**30), "cuda": torch.version.cuda}
        found |= {"capability": f"{card.major}.{card.minor}", "cudnn": _cudnn()}
    return found


def _cudnn() -> int | None:
    version: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return version


def _ceilings(bench: Bench) -> Figures:
    """Measure the limits of any network: matrix products, copies, kernel launches."""
    device, side = bench.device, 256 if bench.tiny else 8192
    tune(device, same_size=True)
    found = {}
    for name, dtype in {"bf16": torch.bfloat16, "fp32": torch.float32}.items():
        matrix = torch.randn(side, side, device=device).to(dtype)
        product = partial(torch.mm, matrix, matrix)
        found[f"{name}_tera_multiply_adds"] = side**3 / _best(product, device) / 1e12
    source = torch.zeros(1 << (20 if bench.tiny else 30), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    found["copied_tb_a_second"] = (
        2 * len(source) / _best(lambda: target.copy_(source), device) / 1e12
    )
    small = torch.zeros(8, device=device)
    launches = 1000
    found["microseconds_a_launch"] = 1e6 / launches * _best(
        lambda: [small.add_(1) for _ in range(launches)], device
    )  # fmt: skip
    return {name: _short(value) for name, value in found.items()}


def _best(call: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest of five calls, after one to warm up."""
    taken = []
    for _ in range(6):
        begun = time.perf_counter()
        call()
        wait_for(device)
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])


def _steps(bench: Bench) -> Figures:
    """Measure training steps: as the classic computes them, tuned, and as chosen here."""
    found: Figures = {}
    for batch in bench.batches:
        if bench.left < _STEPS and not bench.tiny:
            found[f"batch {batch}"] = {"left out": f"{bench.left:.0f} s left"}
            continue
        found[f"batch {batch}"] = _of_batch(batch, bench)
    return found


@dataclass(frozen=True)
class StepVariant:
    """One way of computing a step, built and warmed up."""

    settings: Settings
    execution: Execution
    step: TimedStep
    figures: Figures


def _of_batch(batch: int, bench: Bench) -> Figures:
    device, settings = bench.device, bench.training(batch)
    plain = Execution(device.type, torch.get_num_threads())
    chosen = choose_for(settings, 1 if bench.tiny else _IMAGES, device)
    wanted = {
        "classic": (as_classic(settings), plain),
        "tuned": (settings, plain),
        "chosen": (settings, chosen),
    }
    if chosen.whole_step and batch == 1 and bench.left > 2 * _STEPS:
        wanted["graph per network"] = (settings, replace(chosen, whole_step=False))
    found: Figures = {}
    ways: dict[str, StepVariant] = {}
    for name, (given, execution) in wanted.items():
        try:
            ways[name] = _warm(given, execution, device)
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            found[name] = {"out of memory": True}
    seconds = _seconds(ways, device, 0.2 if bench.tiny else 1.5)
    for name, way in ways.items():
        found[name] = way.figures | _rates(batch, seconds[name], seconds.get("classic"))
        if device.type == "cuda":
            found[name]["kernels"] = _kernels(way.step, device)
    if {"classic", "chosen"} <= ways.keys():
        made = arithmetic_of(
            ways["classic"].step, seconds["chosen"], settings, ways["chosen"].execution, device
        )
        found["chosen"]["share_of_a_product"] = _short(made.rate / made.peak_rate)
    return found


def _warm(settings: Settings, execution: Execution, device: torch.device) -> StepVariant:
    """Build a step and run it a few times, while kernels are chosen and graphs made."""
    begun, before = time.monotonic(), 0
    if device.type == "cuda":
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
    step = step_of(settings, execution, device)
    for _ in range(6 if execution.compiled else 3):
        step()
    wait_for(device)
    figures: Figures = {"way": execution.describe(), "warm_up_s": _short(time.monotonic() - begun)}
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) - before
        figures["peak_gib"] = _short(peak / 2**30)
    return StepVariant(settings, execution, step, figures)


def _seconds(
    ways: Mapping[str, StepVariant], device: torch.device, least: float
) -> dict[str, float]:
    """Return the seconds of a step: the median of three turns of at least `least` seconds."""
    turns: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            way.step()  # what the other way left in memory is paid for here
            turns[name].append(_of_a_step(way.step, device, least))
    return {name: statistics.median(taken) for name, taken in turns.items()}


def _of_a_step(step: TimedStep, device: torch.device, least: float) -> float:
    wait_for(device)
    begun, count = time.perf_counter(), 0
    while count < 2 or time.perf_counter() - begun < least:
        step()
        count += 1
        if count % 8 == 0:  # a training reads its losses now and then, too
            wait_for(device)
    wait_for(device)
    return (time.perf_counter() - begun) / count


def _rates(batch: int, seconds: float, classic: float | None) -> Figures:
    found = {"pairs_a_second": batch / seconds, "milliseconds_a_step": seconds * 1e3}
    if classic is not None:
        found["times_the_classic"] = classic / seconds
    return {name: _short(value) for name, value in found.items()}


def _kernels(step: TimedStep, device: torch.device) -> Figures:
    """Return the number of kernels that a step launches, and those that take most GPU time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        step()
        wait_for(device)
    rows = [row for row in seen.key_averages() if row.self_device_time_total]
    rows.sort(key=lambda row: -row.self_device_time_total)
    busy = sum(row.self_device_time_total for row in rows) / 1e3
    top = [(row.key[:80], row.count, _short(row.self_device_time_total / 1e3)) for row in rows[:10]]
    return {"count": sum(row.count for row in rows), "busy_ms": _short(busy), "top": top}


def _conversion(bench: Bench) -> Figures:
    """Measure pictures per second of `cyclegan convert`, JPEG to JPEG, start-up excluded."""
    few, many = (2, 10) if bench.tiny else (64, 64 + (64 if bench.device.type == "cpu" else 3000))
    with temporary_folder("cyclegan-benchmark-") as folder:
        run = _fresh_run(folder, bench)
        counts = {count: _pictures(folder / f"{count}", count, bench) for count in (few, many)}
        taken = {
            count: _converting(run, source, folder / f"made {count}", bench)
            for count, source in counts.items()
        }
    rate = (many - few) / max(1e-9, taken[many] - taken[few])
    return {"pictures_a_second": _short(rate), "pictures": many, "start_s": _short(taken[few])}


def _fresh_run(folder: Path, bench: Bench) -> Path:
    """Save a run with an untrained generator, which takes as long as a trained one."""
    settings = bench.training(1)
    made = settings.recipe.networks_of(settings.networks)[0]
    state = {"networks": {"generator_a_to_b": made.state_dict()}}
    (folder / "run").mkdir()
    return checkpoint.save(Checkpoint(settings.table(), state, Position()), folder / "run")


def _pictures(folder: Path, count: int, bench: Bench) -> Path:
    """Write JPEGs with soft structure and some grain, 32 of them different."""
    folder.mkdir()
    side = 64 if bench.tiny else 256
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if number >= _DIFFERENT:
            path.hardlink_to(folder / f"{number % _DIFFERENT:05d}.jpg")
            continue
        chance = np.random.default_rng(number)
        coarse = Image.fromarray(chance.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        soft = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(float)
        grained = (soft + chance.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(grained).save(path, quality=92)
    return folder


def _converting(weights: Path, source: Path, target: Path, bench: Bench) -> float:
    """Return the seconds of the whole command. Raises UserError with its last line on failure."""
    given = {"weights": weights, "input": source, "output": target, "device": bench.device}
    flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "cyclegan", "convert", *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=max(30.0, bench.left),
    )
    if done.returncode:
        raise UserError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return time.perf_counter() - begun


def _show(found: Mapping[str, Figures]) -> None:
    """Print a short table for people."""
    console = Console(soft_wrap=True, highlight=False)
    rows = [row for batch, ways in _by_batch(found) for row in _step_rows(batch, ways)]
    if rows:
        for batch, ways in _by_batch(found):
            chosen = ways.get("chosen", {}).get("way", "out of memory")
            console.print(f"{batch}, chosen: {chosen}", markup=False)
        table = Table("", "way", "pairs/s", "of the classic's", "peak memory", "of a product")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for name, figures in found.items():
        plain = {key: value for key, value in figures.items() if not isinstance(value, dict)}
        told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in plain.items())
        console.print(f"{name}: {told}", markup=False)


def _by_batch(found: Mapping[str, Figures]) -> Iterator[tuple[str, Figures]]:
    for batch, ways in found.get("steps", {}).items():
        if isinstance(ways, dict):
            yield batch, ways


def _step_rows(batch: str, ways: Figures) -> Iterator[tuple[str, ...]]:
    for name, row in ways.items():
        if not isinstance(row, dict):
            yield batch, name, "", "", str(row), ""
        elif "pairs_a_second" not in row:
            yield batch, name, "", "", "out of memory", ""
        else:
            yield (
                batch,
                name,
                f"{row['pairs_a_second']}",
                f"{row.get('times_the_classic', '')} times",
                f"{row['peak_gib']} GiB" if "peak_gib" in row else "",
                f"{row['share_of_a_product']:.0%}" if "share_of_a_product" in row else "",
            )


def _short(value: float) -> float:
    return float(f"{value:.4g}")


#: The one table of what can be measured, in the order of its worth.
SECTIONS: Mapping[str, Section] = {
    "card": Section(_card, 1),
    "ceilings": Section(_ceilings, 5),
    "convert": Section(_conversion, 60),
    "steps": Section(_steps, 90),
}
_STEPS = 90.0  # seconds that one size of batch takes, two thirds of them for compiling
_IMAGES = 6287  # of an epoch: photo2vangogh's larger domain
_DIFFERENT = 32
