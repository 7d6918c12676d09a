"""Peak memory, each way in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cyclegan.errors import UserError, in_one_line
from cyclegan.progress import tracked


@dataclass(frozen=True)
class PeakMemory:
    """Peak bytes of a process that does nothing else."""

    plain: int
    chosen: int
    ratio: float


def measure_memory(module: str, plain: Mapping[str, Any], chosen: Mapping[str, Any]) -> PeakMemory:
    """Give both tables to `main` of a module of this package, each in a child process.

    Raises UserError where one fails.
    """
    ways = tracked((plain, chosen), "measuring memory", "ways")
    first, second = (_peak_in_a_child(module, given) for given in ways)
    return PeakMemory(first, second, second / first)


def answer(task: Callable[[dict[str, Any]], int]) -> None:
    """The child's part: a table on stdin, the peak on stdout."""
    try:
        sys.stdout.write(f"{task(json.loads(sys.stdin.read()))}\n")
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_TOLD)


_TOLD = 3  # exit code of a child whose last line is for the user


def resident_peak(device: torch.device) -> int:
    """The most bytes that this process, or its GPU, has held so far."""
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
