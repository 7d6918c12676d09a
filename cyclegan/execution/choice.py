"""Choice of an execution: a CPU's by measuring, a GPU's by what it multiplies in hardware."""

import copy
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cyclegan.device import free_memory, ran_out_of_memory, random_numbers_kept, wait_for
from cyclegan.errors import UsageError
from cyclegan.execution import ExecutionSettings, PrecisionChoice, Switch
from cyclegan.execution.execution import Execution, Precision, compiler_works
from cyclegan.layers import Recompute

#: Elements of the largest map from which on keeping all of them is the memory's larger part.
LARGE = 1 << 21


@dataclass(frozen=True)
class Compiling:
    """Seconds that compiling takes on a kind of device, and the share of time it saves."""

    seconds: float
    """for a pair of generators and a pair of discriminators"""
    seconds_of_one: float
    """for one generator at inference"""
    saved: float
    """fraction of computing time saved"""


#: Measured on two cores at 256 and 128 pixels, and on an H100 with 16 cores beside it.
COMPILING = {"cpu": Compiling(120.0, 30.0, 0.08), "cuda": Compiling(60.0, 20.0, 0.5)}


@dataclass(frozen=True)
class Work:
    """Workload of an execution: a network that takes most of a step, a batch, and how often."""

    network: nn.Module
    """images (N, C, H, W) in [-1, 1] -> the same"""
    shape: tuple[int, int, int, int]
    """(N, C, H, W) of a step's batch"""
    passes: float
    """cost of a step in forward and backward passes of the network"""
    per_sample: bool
    """whether samples are independent: no BatchNorm, no dropout"""
    widest: int
    """channels of the largest map"""
    adapts: bool = True
    """whether its dtype and memory layout can change, and it can be compiled and batched"""
    steps: int = 0
    same_size: bool = False
    """whether all batches but an epoch's last have this shape"""


@dataclass(frozen=True)
class Chosen:
    """An execution, and what was measured to choose it."""

    execution: Execution
    seconds_per_step: float
    """estimated from passes of the network; 0 if nothing was measured"""


def choose(settings: ExecutionSettings, work: Work, device: torch.device) -> Chosen:
    """Choose an execution for this device and workload, in a few seconds at most.

    Leaves torch's random numbers and the network as they are; sets torch's number of threads. A
    candidate that needs more memory than there is loses. Raises MemoryError where all do.
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
    if not work.adapts:
        return _as_it_is(settings, work, device, threads)
    of_kind = _on_a_gpu if device.type == "cuda" else _by_measuring
    base, one = of_kind(settings, work, device, threads)
    step = one * work.passes
    if _compiles(settings, base, work, step) and compiler_works(device):
        # The compiler itself computes again what is cheap.
        again: Recompute = "full" if settings.checkpointing == "on" else "off"
        base = replace(base, compiled=True, recompute=again)
    return Chosen(replace(base, whole_step=_is_captured(base, work)), step)


def _is_captured(base: Execution, work: Work) -> bool:
    """Return whether the steps of a GPU become one CUDA graph: always where that can be.

    A gradient scaler decides on the CPU, and random numbers can't be drawn twice in a graph.
    """
    drawn_twice = base.recompute != "off" and not work.per_sample
    on_a_gpu = base.device == "cuda" and base.precision != "fp16"
    return on_a_gpu and work.same_size and not drawn_twice


def _on_a_gpu(
    settings: ExecutionSettings, work: Work, device: torch.device, threads: int
) -> tuple[Execution, float]:
    """Choose by the GPU's capability; return the execution and the seconds of a pass.

    Timed passes would compare kernel launches, which compiled CUDA graphs hardly have.
    """
    fewer = _native(work.network, device)
    precision = fewer if settings.precision == "auto" else settings.precision
    base = replace(
        _base(work, device, threads, precision),
        # Without tensor cores, and float32 has them as TensorFloat-32, that layout is slower.
        channels_last=precision != "fp32" or torch.cuda.get_device_capability(device) >= (8, 0),
        batch_generator=work.per_sample and _batched_on_a_gpu(settings, work),
    )
    base = replace(base, recompute=_recompute_by_memory(settings, base, work, device))
    return base, _first_pass(base, work, device)


def _by_measuring(
    settings: ExecutionSettings, work: Work, device: torch.device, threads: int
) -> tuple[Execution, float]:
    precision, channels_last = _precision(settings, work, device)
    base = replace(
        _base(work, device, threads, precision),
        channels_last=channels_last,
        recompute=_recompute(settings, work),
    )
    base, one = _with_threads(settings, base, work, device)
    return replace(base, batch_generator=_batches(settings, base, work, device, one)), one


def _as_it_is(
    settings: ExecutionSettings, work: Work, device: torch.device, threads: int
) -> Chosen:
    """Choose float32, eager and call by call: only the threads are left to choose.

    Raises UsageError where something else is asked for.
    """
    asked = {"precision": settings.precision, "compile": settings.compile}
    asked |= {"batching": settings.batching, "checkpointing": settings.checkpointing}
    for flag, value in asked.items():
        if value not in ("auto", "off", "fp32"):
            raise UsageError(
                f"--{flag} {value}: this model only runs in float32 and eagerly: leave the flag out"
            )
    base, one = _with_threads(settings, Execution(device.type, threads, fused=True), work, device)
    return Chosen(base, one * work.passes)


def _base(work: Work, device: torch.device, threads: int, precision: Precision) -> Execution:
    base = Execution(device.type, threads, precision, backward_per_part=True, fused=True)
    return replace(base, batch_discriminator=work.per_sample)


def _first_pass(base: Execution, work: Work, device: torch.device) -> float:
    """Return the seconds of a pass. Raises MemoryError where it does not fit."""
    one = _pass(base, work, device, 1)
    if one == math.inf:
        raise MemoryError("a single batch does not fit")
    return one


def choose_for_conversion(
    network: nn.Module,
    channels: int,
    precision: PrecisionChoice,
    compile: Switch,
    pixels: int,
    device: torch.device,
) -> Execution:
    """Choose how a trained generator converts, by what the device can do: the same every time.

    `pixels` is the number to convert, in images of one size or two. Leaves the network as it is.
    """
    name = _native(network, device) if precision == "auto" else precision
    long = compile == "auto" and _takes_long(network, channels, pixels, device)
    compiled = (compile == "on" or long) and compiler_works(device)
    return Execution(device.type, 0, name, channels_last=True, compiled=compiled)


def _native(network: nn.Module, device: torch.device) -> Precision:
    """Return the type with the fewest bits that the device multiplies in hardware.

    A narrow network has too little work for fewer bits and stays in float32.
    """
    widest = max((len(p) for p in network.parameters() if p.ndim == 4), default=0)
    if widest < _WIDE:
        return "fp32"
    if device.type == "cuda":
        able = torch.cuda.get_device_capability(device)
        return next((name for since, name in _TENSOR_CORES if able >= since), "fp32")
    return "bf16" if device.type == "cpu" and _cpu_multiplies_bf16() else "fp32"


def _cpu_multiplies_bf16() -> bool:
    """Return whether the CPU has AVX-512 BF16, as every CPU with AMX has.

    Elsewhere bfloat16 is emulated, slowly.
    """
    return bool(torch.cpu._is_avx512_bf16_supported())


def _takes_long(network: nn.Module, channels: int, pixels: int, device: torch.device) -> bool:
    """Return whether compiling wins back its time, at the rate of such devices."""
    rate = _RATES.get(device.type, 0.0) * (torch.get_num_threads() if device.type == "cpu" else 1)
    costs = _compiling(device.type)
    enough = rate * costs.seconds_of_one / costs.saved  # multiply-adds
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
    """Return the fastest of the allowed types and layouts, measured on a small image."""
    if settings.precision != "auto":
        return settings.precision, True
    # Fewer bits are quick in channels last only: kernels of the other layout convert both ways.
    candidates: list[tuple[Precision, bool]] = [("fp32", False), ("fp32", True), ("bf16", True)]
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
    """Return the seconds of `times` batches at once through a copy of the network and back.

    Infinite where they need more memory than there is.
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
    network = copy.deepcopy(work.network).to(device).requires_grad_()
    call = eager.prepare(network)
    n, channels, height, width = work.shape
    images = torch.rand(n * times, channels, height, width, device=device) * 2 - 1
    return _seconds(lambda: call(images), device)


def _batches(
    settings: ExecutionSettings,
    base: Execution,
    work: Work,
    device: torch.device,
    seconds: float,
) -> bool:
    """Return whether two batches at once are faster than one after the other."""
    if settings.batching != "auto" or not work.per_sample:
        return settings.batching == "on" and work.per_sample
    return seconds < _QUICK and _pass(base, work, device, 2) < _CLEARLY * 2 * seconds


def _batched_on_a_gpu(settings: ExecutionSettings, work: Work) -> bool:
    n, _, height, width = work.shape
    few = n * height * width <= _FILLS
    return settings.batching == "on" or (settings.batching == "auto" and few)


def _with_threads(
    settings: ExecutionSettings, base: Execution, work: Work, device: torch.device
) -> tuple[Execution, float]:
    """Return the execution with the best number of threads, and the seconds of a pass."""
    one = _first_pass(base, work, device)
    free = not settings.threads and "OMP_NUM_THREADS" not in os.environ
    if free and device.type == "cpu" and one < _QUICK and base.threads > 1:
        return _fewer_threads(base, work, device, one)
    return base, one


def _fewer_threads(
    base: Execution, work: Work, device: torch.device, seconds: float
) -> tuple[Execution, float]:
    """Use one thread where more gain next to nothing: the others are left to the loader."""
    torch.set_num_threads(1)
    single = _pass(base, work, device, 1)
    if single < 1.05 * seconds:
        return replace(base, threads=1), single
    torch.set_num_threads(base.threads)
    return base, seconds


def _seconds(forward: Callable[[], Tensor], device: torch.device) -> float:
    """Return the median seconds of a pass and its gradients, after one to warm up."""
    times = []
    for _ in range(_REPEATS + 1):
        begun = time.perf_counter()
        forward().float().square().mean().backward()  # type: ignore[no-untyped-call]
        wait_for(device)
        times.append(time.perf_counter() - begun)
        if sum(times) > _LIMIT and len(times) > 1:
            break
    return statistics.median(times[1:])


def _recompute(settings: ExecutionSettings, work: Work) -> Recompute:
    if settings.checkpointing == "on":
        return "full"
    n, _, height, width = work.shape
    large = n * work.widest * height * width >= LARGE
    return "light" if settings.checkpointing == "auto" and large else "off"


def _recompute_by_memory(
    settings: ExecutionSettings, base: Execution, work: Work, device: torch.device
) -> Recompute:
    """Return the least recomputation that lets a step fit into free memory."""
    if settings.checkpointing != "auto":
        return "full" if settings.checkpointing == "on" else "off"
    weights = sum(p.numel() for p in work.network.parameters())
    # Two generators, and less than that for two discriminators: weights, gradients and moments.
    room = _FILLED * free_memory(device) - 3 * 16 * weights
    passes = 3.5 if base.batch_generator else 2.5  # whose graphs a part keeps
    needed = passes * kept_for_gradients(base, work)
    return next((how for how, left in _LEFT.items() if needed * left <= room), "full")


def kept_for_gradients(execution: Execution, work: Work) -> int:
    """Return the bytes that a pass of the network keeps, without computing anything."""
    network = copy.deepcopy(work.network).to("meta").requires_grad_()
    call = replace(execution, compiled=False, recompute="off").prepare(network)
    own = {p.untyped_storage()._cdata for p in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def note(saved: Tensor) -> Tensor:
        kept[saved.untyped_storage()._cdata] = saved.untyped_storage()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        call(torch.empty(work.shape, device="meta"))
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)


def _compiles(
    settings: ExecutionSettings, base: Execution, work: Work, seconds_per_step: float
) -> bool:
    if settings.compile != "auto":
        return settings.compile == "on"
    if base.recompute != "off" and base.device == "cpu":
        return False  # measured: there the convolutions are nearly all, and recomputing costs more
    costs = _compiling(base.device)
    return work.same_size and work.steps * seconds_per_step * costs.saved > costs.seconds


def _compiling(kind: str) -> Compiling:
    return COMPILING.get(kind, COMPILING["cpu"])


_REPEATS = 3
_LIMIT = 1.0  # seconds, for one measurement
_SMALL = 128  # pixels a side
_SMALLER = 64  # pixels: a picture shall not wait long for the choice
_WIDE = 32  # channels from which on fewer bits are quicker, measured on a CPU that has them
_MOST = 3e6  # multiply-adds for each pixel, three times those of 64 feature maps and 9 blocks
#: Multiply-adds a second that convolutions reach; on CPUs of each thread. Only the order counts.
_RATES = {"cpu": 5e10, "cuda": 3e13}
#: From which capability on a GPU's tensor cores multiply which type: Ampere, Volta.
_TENSOR_CORES: tuple[tuple[tuple[int, int], Precision], ...] = (((8, 0), "bf16"), ((7, 0), "fp16"))
_FILLS = 4 * 256 * 256  # pixels in a call that fill a GPU by themselves
_FILLED = 0.8  # of the free memory: the rest is for what comes and goes, and for holes
#: Share of what is kept otherwise: of three maps for a convolution one is left, or the blocks'.
_LEFT: dict[Recompute, float] = {"off": 1.0, "light": 0.45, "full": 0.3}
_QUICK = 0.25  # seconds: what takes longer fills the device by itself
_CLEARLY = 0.95
_WORTH = 0.85
