"""Loading processes beside the training, and their replacement when one dies or hangs.

Each has its own socket: the end of a process is seen at once and can't block the others, nothing is
written to /dev/shm (64 MB in Docker), and signals reach the waiting training.
"""

import atexit
import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import socket
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Generic, TypeVar

import psutil

log = logging.getLogger(__name__)
Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2  # tasks of each process that are loaded before they are asked for
POLL = 1.0  # seconds
STILL = 20  # polls in a row after which a process that can't go on by itself is replaced
SLOW = 60  # polls in a row without a result after which the wait is told


class DeadlyTaskError(Exception):
    """A task whose processes died, one after the other."""

    def __init__(self, task: Any, cause: str) -> None:
        super().__init__(f"{task}: {cause}")
        self.task = task
        self.cause = cause


class LoadingProcesses(Generic[Task, Result]):
    """Processes that each call `prepare`, then `load` for every task; started with the first task.

    The first lost process is replaced; after that, fewer go on. If none is left, `load` is called
    in this process.
    """

    def __init__(
        self, load: Callable[[Task], Result], count: int, prepare: Callable[[], None]
    ) -> None:
        self._load = load
        self._prepare = prepare
        self._count = count
        self._spares = 1
        self._arrivals: queue.SimpleQueue[tuple[_Process, Result | None]] = queue.SimpleQueue()
        self._processes: list[_Process] = []
        self._started = False
        self._dealt: dict[int, Task] = {}
        self._deaths: Counter[int] = Counter()
        self._number = 0
        self.close = weakref.finalize(self, _end, self._processes)
        # Before Python waits for its children: they ignore the signal that it sends them.
        atexit.register(self.close)

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield the results of `tasks`, in their order. Raises DeadlyTaskError."""
        if not self._started:
            self._started = True
            for _ in range(self._count):
                self._start()
        self._dealt, results = {}, dict[int, Result]()  # what an earlier call left is not awaited
        iterator, due = iter(tasks), self._number
        while True:
            self._deal(iterator, waiting=len(results))
            if due not in self._dealt and due not in results:
                return
            while due not in results:
                self._take(due, results)
            yield results.pop(due)
            due += 1

    def _deal(self, tasks: Iterator[Task], waiting: int) -> None:
        """Keep every process busy, with at least one task under way."""
        while len(self._dealt) + waiting < max(1, AHEAD * len(self._processes)):
            task = next(tasks, None)
            if task is None:
                return
            self._dealt[self._number] = task
            self._give(self._number)
            self._number += 1

    def _give(self, number: int) -> None:
        if self._processes:
            idlest = min(self._processes, key=lambda process: len(process.pending))
            idlest.give(number, self._dealt[number])

    def _take(self, due: int, results: dict[int, Result]) -> None:
        """Wait for one result from any process, or for the end of one."""
        if not self._processes:
            results[due] = self._load(self._dealt.pop(due))
            return
        process, result = self._next_arrival()
        if result is None:
            self._lost(process)
            return
        number = process.pending.popleft()
        if self._dealt.pop(number, None) is not None:
            results[number] = result

    def _next_arrival(self) -> "tuple[_Process, Result | None]":
        polls = 0
        while True:
            try:
                return self._arrivals.get(timeout=POLL)
            except queue.Empty:
                polls += 1
            for process in self._processes:
                process.end_if_stuck()
            if polls == SLOW:
                log.warning(
                    "no images for %.0f s: the data loader workers are still reading (slow "
                    "storage?)",
                    polls * POLL,
                )

    def _lost(self, process: "_Process") -> None:
        """Replace a lost process or go on without it; redeal its tasks. Raises DeadlyTaskError."""
        cause = process.cause()
        self._processes.remove(process)
        left = [number for number in process.pending if number in self._dealt]
        self._deaths.update(left[:1])
        if left and self._deaths[left[0]] > 1:
            raise DeadlyTaskError(self._dealt[left[0]], cause)
        if self._spares:
            self._spares -= 1
            self._start()
            log.warning("a data loader worker died (%s): starting another one", cause)
        else:
            count = len(self._processes)
            further = f"continuing with {count}" if count else "loading in the training process now"
            log.warning("a data loader worker died (%s): %s", cause, further)
        for number in left:
            self._give(number)

    def _start(self) -> None:
        serve = partial(_serve, self._load, self._prepare)
        self._processes.append(_Process(serve, self._processes, self._arrivals))


class _Process:
    """One process, its socket, and the thread that receives its results."""

    def __init__(
        self,
        serve: Callable[..., None],
        others: "Sequence[_Process]",
        arrivals: "queue.SimpleQueue[tuple[_Process, Any]]",
    ) -> None:
        self.pending: deque[int] = deque()
        self._polls_still = 0
        self._cpu = 0.0
        self._stuck = ""
        self._socket, theirs = socket.socketpair()
        # A forked process holds copies of these, which would hide the training's end from others.
        ends = [self._socket, *(other._socket for other in others)]
        forks = multiprocessing.get_start_method() == "fork"
        self._process = multiprocessing.Process(
            target=serve, args=(theirs, ends if forks else []), daemon=True
        )
        self._process.start()
        theirs.close()
        self._stream = self._socket.makefile("rwb")
        self._thread = Thread(target=self._receive, args=(arrivals,), daemon=True)
        self._thread.start()

    def give(self, number: int, task: object) -> None:
        self.pending.append(number)
        with contextlib.suppress(OSError):  # that it has ended is heard from the thread
            pickle.dump(task, self._stream)
            self._stream.flush()

    def _receive(self, arrivals: "queue.SimpleQueue[tuple[_Process, Any]]") -> None:
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):  # its end, half said
            while True:
                arrivals.put((self, pickle.load(self._stream)))  # nosec B301
        arrivals.put((self, None))

    def end_if_stuck(self) -> None:
        """End a process that has work but could not continue for STILL polls in a row.

        A process that waits for a slow disk can continue.
        """
        standstill = self._standstill() if self.pending else ""
        self._polls_still = self._polls_still + 1 if standstill else 0
        if self._polls_still == STILL:
            self._stuck = standstill
            self._process.kill()

    def _standstill(self) -> str:
        """Return why the process can't continue by itself; empty if it can."""
        try:
            process = psutil.Process(self._process.pid)
            before, self._cpu = self._cpu, sum(process.cpu_times()[:2])
            if process.status() == psutil.STATUS_STOPPED:
                return "stopped by a signal"
            waits_for = Path(f"/proc/{self._process.pid}/wchan").read_text()
        except (psutil.Error, OSError):  # it is ending, or no Linux
            return ""
        return "locked up" if waits_for.startswith("futex") and before == self._cpu else ""

    def cause(self) -> str:
        """Return why the process ended."""
        self._process.join(_GRACE)
        code = self._process.exitcode
        if self._stuck:
            return self._stuck
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def hang_up(self) -> None:
        """Close the connection, which tells the process that nothing more will come."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self._process.join(_GRACE)
        if self._process.is_alive():  # stopped, or in a long read
            self._process.kill()
            self._process.join(_GRACE)
        self._thread.join(_GRACE)
        with contextlib.suppress(OSError):
            self._stream.close()
        self._socket.close()


_GRACE = 2.0  # seconds


def _end(processes: "list[_Process]") -> None:
    for process in processes:
        process.hang_up()
    for process in processes:
        process.end()
    processes.clear()


def _serve(
    load: Callable[[Task], Result],
    prepare: Callable[[], None],
    here: socket.socket,
    ends: Sequence[socket.socket],
) -> None:
    """Load task after task until the training hangs up, however it ended."""
    # Ctrl-C reaches the whole group of processes; the trainer decides when the loading ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for end in ends:
        os.close(end.detach())
    prepare()
    with contextlib.suppress(OSError, EOFError), here.makefile("rwb") as stream:
        while True:
            result = load(pickle.load(stream))  # nosec B301
            pickle.dump(result, stream, protocol=5)  # whose arrays are read and written in place
            stream.flush()
