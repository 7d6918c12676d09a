"""Devices: choice and tuning, random numbers, transfers, memory and its limits."""

import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psutil
import torch
from torch import Tensor

from cyclegan.errors import UsageError, in_words

log = logging.getLogger(__name__)


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; 'auto' is the first GPU, or the CPU.

    Raises UsageError if this machine has none of that name.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type == "meta":
            raise RuntimeError("it holds no data")
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # what compiled kernels and pinned memory go by
    except (RuntimeError, AssertionError, ImportError) as error:
        raise UsageError(
            f"--device {name}: not available on this machine ({in_words(error)})"
        ) from None
    return device


def tune(
    device: torch.device, *, same_size: bool, plain: bool = False, deterministic: bool = False
) -> None:
    """Set for the whole process how a GPU computes.

    TensorFloat-32 is used, and kernels are benchmarked if all batches are of one size; `plain`
    keeps torch's defaults. `deterministic` selects kernels that add up in one order only, so that
    the same work gives the same bits.
    """
    if device.type != "cuda":
        return
    torch.set_float32_matmul_precision("highest" if plain else "high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = same_size and not (plain or deterministic)
    torch.backends.cudnn.deterministic = deterministic
    if deterministic:  # read when the first product is computed
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)


def random_numbers(device: torch.device) -> dict[str, Any]:
    """Return the states of the random number generators that training on `device` draws from."""
    own = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return {"cpu": torch.get_rng_state(), "cuda": own}


def restore_random_numbers(saved: Mapping[str, Any], device: torch.device) -> None:
    """Restore the states that `random_numbers` saved; warn if they are another device's."""
    torch.set_rng_state(saved["cpu"])
    if device.type != "cuda":
        return
    own = saved["cuda"]
    place = 0 if len(own) == 1 else device.index or 0  # once those of all GPUs were kept
    if place < len(own):
        torch.cuda.set_rng_state(own[place], device)
    else:
        log.warning(
            "%s: the checkpoint holds no RNG state for it, so random numbers there (dropout, "
            "augmentation) start from --seed",
            device,
        )


@contextmanager
def random_numbers_kept(device: torch.device) -> Iterator[None]:
    """Restore the random number generators on exit, whatever is drawn within."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Return the values on `device`; the copy of pinned memory to a GPU is asynchronous."""
    return values.to(device, non_blocking=device.type == "cuda")


def arriving(*values: Tensor) -> tuple[tuple[Tensor, ...], Callable[[], object]]:
    """Copy values to the CPU; return the copies, and a function that waits until they are there.

    Meanwhile a GPU goes on with its next work; any thread may wait.
    """
    device = values[0].device
    if device.type != "cuda":
        return tuple(each.cpu() for each in values), lambda: None
    there = tuple(each.to("cpu", non_blocking=True) for each in values)  # pinned by torch
    # Blocking: a core that spins meanwhile would be missing to an encoder.
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return there, event.synchronize


@contextmanager
def whole_float32(device: torch.device) -> Iterator[None]:
    """Disable TensorFloat-32 within, for figures that are to be alike on every device."""
    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has computed all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def memory_in_use(device: torch.device) -> float:
    """Return the GiB that this run holds: reserved by torch on a GPU, else of the whole process."""
    if device.type == "cuda":
        taken = torch.cuda.memory_reserved(device)
    elif device.type == "mps":
        taken = torch.mps.driver_allocated_memory()
    else:
        taken = psutil.Process().memory_info().rss
    return float(taken) / 2**30


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free; on a GPU, torch's cache counts as free."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + held
    return int(psutil.virtual_memory().available)


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out; each allocator says so in its own way."""
    told = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in told for words in _OUT_OF_MEMORY)
    )


_OUT_OF_MEMORY = (
    *("can't allocate memory", "not enough memory", "bad_alloc"),  # of the CPU
    *("out of memory", "ALLOC_FAILED"),  # of drivers, and of libraries on them
)


def limit_met(error: BaseException, smaller: str) -> str | None:
    """Return in one line which limit of a device an error met; None for any other error.

    `smaller` says what would take less memory.
    """
    if ran_out_of_memory(error):
        return f"out of memory: {smaller}"
    if isinstance(error, RuntimeError) and "a deterministic implementation" in str(error):
        name = str(error).split()[0]
        return f"--deterministic: {name} has no deterministic implementation here: leave it out"
    return None


def describe(device: torch.device) -> str:
    """Return a device's description: the GPU's model, or the number of CPU threads."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return (
            f"cpu ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"
        )
    return str(device)
