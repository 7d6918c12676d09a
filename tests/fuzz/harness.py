"""Inputs given to worker processes one by one; what becomes of each is counted, faults are kept."""

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from fuzz import worker
from fuzz.mutate import Seed
from fuzz.targets import TARGETS, made, spelt
from fuzz.worker import FINE, Verdict

SECONDS = 5.0  # that a case may take
ALONE = 10.0  # seconds, on a busy machine, of one that is run once more by itself
_START = 300.0  # seconds in which a process is ready for a target


class Worker:
    """A process that reads inputs, replaced by a new one where it hangs or dies."""

    def __init__(self, seconds: float = SECONDS, alone: float = ALONE) -> None:
        self._seconds, self._alone = seconds, alone
        self._folder = tempfile.TemporaryDirectory(prefix="cyclegan-fuzz-")
        self._count = self._unready = 0
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._home = Path(self._folder.name) / str(self._count)
        self._count += 1
        self._warmed: set[str] = set()
        self._process = context.Process(target=worker.main, args=(theirs, self._home))
        self._process.start()
        theirs.close()

    def close(self) -> None:
        """End the process and all that it started."""
        self._kill()
        self._folder.cleanup()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _again(self) -> None:
        self._kill()
        self._start()

    def judge(self, target: str, given: Seed) -> Verdict:
        """Return what becomes of an input; one that took too long is tried once more, alone."""
        verdict = self._tried(target, given, self._seconds)
        if verdict.kind == "too slow":
            self._again()
            verdict = self._tried(target, given, self._alone)
        return verdict

    def _tried(self, target: str, given: Seed, seconds: float) -> Verdict:
        try:
            self._connection.send((target, given.name, given.content))
            if not self._connection.poll(_START):
                raise EOFError
            self._connection.recv()  # it is ready
            self._warmed.add(target)
            self._unready = 0
            if not self._connection.poll(seconds):
                self._again()
                return Verdict("too slow", f"more than {seconds:g} s", seconds)
            found: Verdict = self._connection.recv()
        except (EOFError, ConnectionError):
            return self._dead(target, given, seconds)
        if found.spent:
            self._again()
        if found.seconds > seconds:
            return Verdict("too slow", f"{found.seconds:.1f} s", found.seconds)
        return found

    def _dead(self, target: str, given: Seed, seconds: float) -> Verdict:
        self._process.join(5)
        code, printed = self._process.exitcode, self._printed()
        ready = target in self._warmed
        self._again()
        self._unready = 0 if ready else self._unready + 1
        if self._unready > 1:
            raise RuntimeError(f"{target}: its whole files can't be read: {printed}")
        if not ready:
            return self._tried(target, given, seconds)
        name = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        return Verdict("died", f"{name}: {printed}")

    def _printed(self) -> str:
        with suppress(OSError):
            return (self._home / "own" / "printed").read_text(errors="replace")[-4000:]
        return ""


@contextmanager
def working(seconds: float = SECONDS, alone: float = ALONE) -> Iterator[Worker]:
    """Yield a worker with bounds of time, ended with all that it started."""
    one = Worker(seconds, alone)
    try:
        yield one
    finally:
        one.close()


@dataclass
class Tally:
    """What became of a target's inputs."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """the longest case's"""
    memory: int = 0
    """the largest case's, in bytes"""

    def add(self, verdict: Verdict) -> None:
        self.counts[verdict.kind] += 1
        self.seconds = max(self.seconds, verdict.seconds)
        self.memory = max(self.memory, verdict.memory)


def name_of(target: str, seed: int, number: int, given: Seed) -> str:
    """The name of a kept input, by which it is made again."""
    return f"{spelt(target)}-{seed}-{number}-{given.name}"


def target_of(file: Path) -> tuple[str, str]:
    """The target of a kept input, and the name that the input had."""
    for name in sorted(TARGETS, key=len, reverse=True):
        if file.name.startswith(f"{spelt(name)}-"):
            rest = file.name.removeprefix(f"{spelt(name)}-")
            return name, rest.split("-", 2)[2]
    raise ValueError(f"{file}: called like no target, {', '.join(map(spelt, TARGETS))}")


def run(one: Worker, target: str, seed: int, numbers: range, kept: Path) -> Tally:
    """Judge the inputs of these numbers; those that are faults are kept in a folder."""
    tally = Tally()
    for number in numbers:
        given = made(target, seed, number)
        verdict = one.judge(target, given)
        tally.add(verdict)
        if verdict.kind not in FINE:
            kept.mkdir(parents=True, exist_ok=True)
            name = name_of(target, seed, number, given)
            (kept / name).write_bytes(given.content)
            tally.faults.append(f"{name}: {verdict.kind}: {verdict.told}")
    return tally


def shares(inputs: int) -> dict[str, int]:
    """How many of so many inputs each target gets, in proportion to its share."""
    whole = sum(target.share for target in TARGETS.values())
    counts = {name: inputs * target.share // whole for name, target in TARGETS.items()}
    for name in list(counts)[: inputs - sum(counts.values())]:
        counts[name] += 1
    return counts
