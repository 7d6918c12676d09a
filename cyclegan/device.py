"""Which device computes."""

import platform

import psutil
import torch

from cyclegan.errors import UsageError, in_words


def choose_device(name: str) -> torch.device:
    """The device called `name`; 'auto' is the first GPU, or the CPU.

    Raises UsageError where this machine has none of that name.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type == "meta":
            raise RuntimeError("it computes nothing")
    except (RuntimeError, AssertionError, ImportError) as error:
        raise UsageError(f"--device {name}: not on this machine ({in_words(error)})") from None
    return device


def tune(device: torch.device, *, same_size: bool) -> None:
    """Let a GPU use TensorFloat-32 and, where all batches are of one size, try its kernels out."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = same_size


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has computed all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def memory_in_use(device: torch.device) -> float:
    """GiB that this run holds: what torch reserved on a GPU, else the memory of the process."""
    if device.type == "cuda":
        taken = torch.cuda.memory_reserved(device)
    elif device.type == "mps":
        taken = torch.mps.driver_allocated_memory()
    else:
        taken = psutil.Process().memory_info().rss
    return float(taken) / 2**30


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether memory was missing, which each allocator says in its own way."""
    told = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in told for words in _OUT_OF_MEMORY)
    )


_OUT_OF_MEMORY = (
    *("can't allocate memory", "not enough memory", "bad_alloc"),  # of the CPU
    *("out of memory", "ALLOC_FAILED"),  # of drivers, and of libraries on them
)


def describe(device: torch.device) -> str:
    """What a person calls it: the GPU's model, or the number of CPU threads."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return (
            f"cpu ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"
        )
    return str(device)
