"""A process that has imported everything and forks: each fork is `cyclegan ARGS`, without the wait.

A fork is a process of its own in every respect: a session, limits, signals, an end. It takes
orders as lines of JSON on stdin, and answers each with a line. Nothing is trained in the parent,
so that it has one thread and no state.
"""

import contextlib
import ctypes
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Answer orders until there are no more; return in the child of one."""
    _import_all()
    answers = os.fdopen(os.dup(1), "w")
    orders = os.fdopen(os.dup(0), "r")
    _say(answers, {"ready": True})
    for line in orders:
        order = json.loads(line)
        if "wait" in order:
            _say(answers, {"code": _ended(order["wait"])})
            continue
        pid = os.fork()
        if pid == 0:
            orders.close()
            answers.close()
            return _become(order)
        _say(answers, {"pid": pid})
    os._exit(0)


def _import_all() -> None:
    import albumentations  # noqa: F401
    import av  # noqa: F401
    import torch.distributed  # noqa: F401
    import visdom  # noqa: F401

    import cyclegan.assemble
    import cyclegan.cli
    import cyclegan.conversion.clips
    import cyclegan.resume  # noqa: F401


def _say(answers: Any, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _ended(pid: int) -> int | None:
    """Return how a child ended, as subprocess tells it; None while it lives."""
    with contextlib.suppress(ChildProcessError):
        found, status = os.waitpid(pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if found else None
    return None


def _become(order: dict[str, Any]) -> None:
    """Turn this fork into the process that was ordered."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the parent
    for number, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        way = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(path, way, 0o644), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.stderr.reconfigure(line_buffering=True)
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    sys.argv = ["cyclegan", *order["args"]]
    for name, value in order["faults"].items():
        FAULTS[name](value)


def _limit_files(size: int) -> None:
    """Let no file grow beyond `size` bytes: what a quota does, and needs no rights."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _shrink_shared_memory(size: int) -> None:
    """Give this process a /dev/shm of its own with `size` bytes. Needs root."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, private = 0x20000, 0x40000 | 0x4000
    done = libc.unshare(new_mounts) or libc.mount(None, b"/", None, private, None)
    if done or libc.mount(b"none", b"/dev/shm", b"tmpfs", 0, b"size=%d" % size):
        raise OSError(ctypes.get_errno(), "no /dev/shm of its own")


def _let_the_clock_jump(seed: int) -> None:
    """Move the wall clock to and fro by up to years, as a bad time server does."""
    draw, true, state = random.Random(seed), time.time, [0.0, 0]

    def jumping() -> float:
        if state[1] % 7 == 0:
            state[0] = draw.choice([-1e8, -3600.0, -1.0, 0.0, 3600.0, 1e8])
        state[1] += 1
        return true() + state[0]

    time.time = jumping


#: What can be done to a process before it begins.
FAULTS: dict[str, Callable[[int], None]] = {
    "file_size": _limit_files,
    "shared_memory": _shrink_shared_memory,
    "clock": _let_the_clock_jump,
}

if __name__ == "__main__":
    main()
    from cyclegan.cli import main as cyclegan

    cyclegan()
