"""Chooses an execution by measuring, not by the device's name."""

import copy
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cyclegan.device import ran_out_of_memory, random_numbers_kept, wait_for
from cyclegan.execution.compiler import compiler_works
from cyclegan.execution.execution import Execution, Precision
from cyclegan.execution.settings import ExecutionSettings, PrecisionChoice, Switch
from cyclegan.layers.settings import Recompute

#: A step's generator passes: two translations, two cycles, two identities, and the rest.
PASSES = 6.5
#: Seconds that compiling a pair of generators and discriminators takes, measured on two cores.
WARM_UP = 120.0
#: The same for one generator that is trained no further.
WARM_UP_OF_ONE = 30.0
#: Share of a step that compiling saves, measured at 256 and 128 pixels on two cores.
SAVED = 0.08
#: Elements of the largest map from which on keeping all of them is the memory's larger part.
LARGE = 1 << 21


@dataclass(frozen=True)
class Work:
    """What is to be computed: one generator, the shape of a batch, and how often."""

    generator: nn.Module
    shape: tuple[int, int, int, int]
    """(N, C, H, W) of a step's batch"""
    steps: int
    same_size: bool
    """whether all batches but an epoch's last have this shape"""
    per_sample: bool
    """whether an image's result depends on no other: no BatchNorm, no dropout"""
    widest: int
    """channels of the largest map"""


@dataclass(frozen=True)
class Chosen:
    """An execution and what was measured on the way."""

    execution: Execution
    seconds_per_step: float
    """estimated from passes of the generator; 0 where nothing was measured"""


def choose(settings: ExecutionSettings, work: Work, device: torch.device) -> Chosen:
    """Choose for this device and this work; takes a few seconds at the most.

    Leaves torch's random numbers and the generator as they are; sets torch's number of threads.
    What needs more memory than there is has lost. Raises MemoryError where everything does.
    """
    threads = settings.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    if settings.plain:
        return Chosen(Execution(device.type, threads), 0.0)
    with random_numbers_kept(device):
        return _measured(settings, work, device, threads)


def _measured(
    settings: ExecutionSettings, work: Work, device: torch.device, threads: int
) -> Chosen:
    precision, channels_last = _precision(settings, work, device)
    base = Execution(
        device.type,
        threads,
        precision,
        channels_last,
        judged_together=work.per_sample,
        apart=True,
        fused=True,
    )
    base = replace(base, recompute=_recompute(settings, work))
    one = _pass(base, work, device, 1)
    if one == math.inf:
        raise MemoryError("not one batch fits")
    if device.type == "cpu" and _may_choose_threads(settings) and one < _QUICK and threads > 1:
        base, one = _fewer_threads(base, work, device, one)
    base = replace(base, batched=_batches(settings, base, work, device, one))
    step = one * PASSES
    compiled = _compiles(settings, base, work, step) and compiler_works(device)
    return Chosen(replace(base, compiled=compiled), step)


def choose_for_conversion(
    network: nn.Module,
    channels: int,
    precision: PrecisionChoice,
    compile: Switch,
    pixels: int,
    device: torch.device,
) -> Execution:
    """Choose how a trained generator converts, by what the device can do: alike every time.

    `pixels` are to come in images of one size or two. Leaves the network as it is.
    """
    name = _native(network, device) if precision == "auto" else precision
    long = compile == "auto" and _takes_long(network, channels, pixels, device)
    compiled = (compile == "on" or long) and compiler_works(device)
    return Execution(device.type, 0, name, channels_last=True, compiled=compiled)


def _native(network: nn.Module, device: torch.device) -> Precision:
    """bfloat16 where the device multiplies it in hardware and the network has work for that."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and _cpu_multiplies_bf16()
    widest = max((len(p) for p in network.parameters() if p.ndim == 4), default=0)
    return "bf16" if native and widest >= _WIDE else "fp32"


def _cpu_multiplies_bf16() -> bool:
    """AVX-512 BF16, which every CPU with AMX has, too; elsewhere bfloat16 is emulated, slowly."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def _takes_long(network: nn.Module, channels: int, pixels: int, device: torch.device) -> bool:
    """Whether compiling wins back its time, at the rate that such devices have."""
    rate = _RATES.get(device.type, 0.0) * (torch.get_num_threads() if device.type == "cpu" else 1)
    enough = rate * WARM_UP_OF_ONE / SAVED  # multiply-adds
    if not rate or pixels * _MOST < enough:
        return False
    from torch.utils.flop_counter import FlopCounterMode

    weight = next(network.parameters())
    images = torch.zeros(1, channels, _SMALLER, _SMALLER, dtype=weight.dtype, device=weight.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    return bool(counter.get_total_flops() / 2 * pixels / _SMALLER**2 > enough)


def _precision(
    settings: ExecutionSettings, work: Work, device: torch.device
) -> tuple[Precision, bool]:
    """The quickest type and layout of those that may be chosen, for a small image."""
    if settings.precision != "auto":
        return settings.precision, True
    fewer: Precision = "bf16"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        fewer = "fp16"
    # Fewer bits are quick in channels last only: kernels of the other layout convert both ways.
    candidates: list[tuple[Precision, bool]] = [("fp32", False), ("fp32", True), (fewer, True)]
    batch, channels, height, width = work.shape
    small = replace(work, shape=(batch, channels, min(height, _SMALL), min(width, _SMALL)))
    seconds = {
        (name, last): _pass(Execution(device.type, 0, name, last), small, device, 1)
        for name, last in candidates
    }
    best = min(seconds, key=lambda candidate: seconds[candidate])
    full = min((c for c in seconds if c[0] == "fp32"), key=lambda c: seconds[c])
    # Fewer bits must earn their place.
    return best if seconds[best] < _WORTH * seconds[full] else full


def _pass(execution: Execution, work: Work, device: torch.device, times: int) -> float:
    """Seconds of `times` batches through a copy of the generator at once, there and back.

    For ever where they need more memory than there is.
    """
    try:
        return _timed(execution, work, device, times)
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
    # Only now: until here the error held what had been computed.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return math.inf


def _timed(execution: Execution, work: Work, device: torch.device, times: int) -> float:
    eager = replace(execution, compiled=False)
    network = copy.deepcopy(work.generator).to(device).requires_grad_()
    call = eager.prepare(network)
    n, channels, height, width = work.shape
    images = torch.zeros(n * times, channels, height, width, device=device)
    return _seconds(lambda: call(images), device)


def _batches(
    settings: ExecutionSettings,
    base: Execution,
    work: Work,
    device: torch.device,
    seconds: float,
) -> bool:
    """Whether two batches at once are quicker than one after the other."""
    if settings.batching != "auto" or not work.per_sample:
        return settings.batching == "on" and work.per_sample
    return seconds < _QUICK and _pass(base, work, device, 2) < _CLEARLY * 2 * seconds


def _fewer_threads(
    base: Execution, work: Work, device: torch.device, seconds: float
) -> tuple[Execution, float]:
    """One thread where more gain next to nothing: the others are left to what loads images."""
    torch.set_num_threads(1)
    single = _pass(base, work, device, 1)
    if single < 1.05 * seconds:
        return replace(base, threads=1), single
    torch.set_num_threads(base.threads)
    return base, seconds


def _seconds(forward: Callable[[], Tensor], device: torch.device) -> float:
    """Median time of a pass and its gradients, after one to warm up."""
    times = []
    for _ in range(_REPEATS + 1):
        begun = time.perf_counter()
        forward().float().square().mean().backward()  # type: ignore[no-untyped-call]
        wait_for(device)
        times.append(time.perf_counter() - begun)
        if sum(times) > _LIMIT and len(times) > 1:
            break
    return statistics.median(times[1:])


def _may_choose_threads(settings: ExecutionSettings) -> bool:
    return not settings.threads and "OMP_NUM_THREADS" not in os.environ


def _recompute(settings: ExecutionSettings, work: Work) -> Recompute:
    if settings.checkpointing == "on":
        return "full"
    n, _, height, width = work.shape
    large = n * work.widest * height * width >= LARGE
    return "light" if settings.checkpointing == "auto" and large else "off"


def _compiles(
    settings: ExecutionSettings, base: Execution, work: Work, seconds_per_step: float
) -> bool:
    if settings.compile != "auto":
        return settings.compile == "on"
    if base.recompute != "off" and base.device == "cpu":
        return False  # measured: there the convolutions are nearly all, and recomputing costs more
    return work.same_size and work.steps * seconds_per_step * SAVED > WARM_UP


_REPEATS = 3
_LIMIT = 1.0  # seconds, for one measurement
_SMALL = 128  # pixels a side
_SMALLER = 64  # pixels: a picture shall not wait long for the choice
_WIDE = 32  # channels from which on fewer bits are quicker, measured on a CPU that has them
_MOST = 3e6  # multiply-adds for each pixel, three times those of 64 feature maps and 9 blocks
#: Multiply-adds a second that convolutions reach; on CPUs of each thread. Only the order counts.
_RATES = {"cpu": 5e10, "cuda": 3e13}
_QUICK = 0.25  # seconds: what takes longer fills the device by itself
_CLEARLY = 0.95
_WORTH = 0.85
