"""Processes under test: started, watched, signalled, awaited, and missed when they are left."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
#: Seconds after which something that never comes is a failure: a guard, also where all is starved.
NEVER = 600.0
#: Seconds in which processes that nobody needs any more have to be gone.
GONE = 10.0
#: In the environment of everything that a trial starts, so that it is found again.
MARK = "CYCLEGAN_FAULT_TRIAL"


class WrongError(AssertionError):
    """Something is not as it should be after a fault."""


class LostError(WrongError):
    """Work or files of the user are gone."""


def require(holds: object, what: str) -> None:
    """Raise WrongError, saying what is wrong, if something does not hold."""
    if not holds:
        raise WrongError(what)


def until(holds: Callable[[], Any], what: str, seconds: float = NEVER, every: float = 0.005) -> Any:
    """Wait for an event, looking `every` so many seconds; return what it told."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        require(time.monotonic() < end, f"never happened: {what}")
        time.sleep(every)
    return found


@dataclass
class Program:
    """A process that was started, what it prints in two files."""

    pid: int
    out: Path
    err: Path
    args: Sequence[str]
    _poll: Callable[[], int | None]
    code: int | None = None

    def ended(self) -> bool:
        """Return whether it has ended."""
        if self.code is None:
            self.code = self._poll()
        return self.code is not None

    def printed(self) -> str:
        """Return what was printed so far, errors last."""
        return f"{_text(self.out)}{_text(self.err)}"

    def wait_for(self, words: str) -> bool:
        """Wait until `words` were printed; return whether they were before it ended."""
        until(lambda: words in self.printed() or self.ended(), f"{words!r} from {self.args}")
        return words in self.printed()

    def wait_for_path(self, path: Path) -> bool:
        """Wait until a file is there; return whether it was before the process ended."""
        until(lambda: path.exists() or self.ended(), f"{path} by {self.args}", every=0.0005)
        return path.exists()

    def send(self, number: int, *, group: bool = False) -> None:
        """Send a signal, to the whole group as a terminal does; nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self, seconds: float = NEVER) -> int:
        """Return its exit code, negative for a signal."""
        try:
            until(self.ended, f"the end of {' '.join(self.args)}", seconds, every=0.02)
        except WrongError:
            self.send(signal.SIGKILL, group=True)
            raise WrongError(
                f"{' '.join(self.args)}: hangs; it said {self.last_line()!r}"
            ) from None
        assert self.code is not None
        return self.code

    def last_line(self) -> str:
        """Return the last line of stderr."""
        return (_text(self.err).splitlines() or [""])[-1]

    def children(self) -> list[psutil.Process]:
        """Return the processes that it started."""
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.pid).children()
        return []


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


@dataclass
class Launcher:
    """Starts processes, by forks of one that has imported everything or from nothing."""

    _nursery: subprocess.Popen[str] | None = None

    def start(
        self,
        args: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        faults: Mapping[str, int],
    ) -> Program:
        """Start `cyclegan ARGS` as a fork, leading a session of its own."""
        out, err = _outputs(folder)
        order = {"args": list(args), "out": str(out), "err": str(err), "cwd": str(folder)}
        pid = self._ask(order | {"env": dict(env), "faults": dict(faults)})["pid"]
        return Program(pid, out, err, args, lambda: self._code(pid))

    def _code(self, pid: int) -> int | None:
        """Return how a fork ended; whether it has is asked of the system, which costs nothing."""
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return None
        code: int | None = self._ask({"wait": pid})["code"]
        return code

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        if self._nursery is None:
            self._nursery = subprocess.Popen(
                [sys.executable, "-P", str(HERE / "nursery.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._answer()
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._nursery is not None
        assert self._nursery.stdout is not None
        found: dict[str, Any] = json.loads(self._nursery.stdout.readline())
        return found

    def close(self) -> None:
        """End the process that forks."""
        if self._nursery is not None:
            assert self._nursery.stdin is not None
            self._nursery.stdin.close()
            self._nursery.wait()
            self._nursery = None


def execute(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Program:
    """Start a program from nothing, leading a session of its own."""
    out, err = _outputs(folder)
    # Whoever runs the tests in the background lets them ignore Ctrl-C.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with out.open("w") as stdout, err.open("w") as stderr:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
    finally:
        signal.signal(signal.SIGINT, heard)
    return Program(process.pid, out, err, command, process.poll)


def _outputs(folder: Path) -> tuple[Path, Path]:
    number = len(list(folder.glob("*.out")))
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    out.touch()
    return out, err


@dataclass(frozen=True)
class Family:
    """All processes of a trial, however they are related."""

    mark: str
    sessions: set[int] = field(default_factory=set)

    def living(self) -> list[psutil.Process]:
        """Return those that live: of a session of the trial, or with its mark."""
        return [one for one in psutil.process_iter() if self._holds(one)]

    def _holds(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                return False
            ours = os.getsid(process.pid) in self.sessions
            return ours or process.environ().get(MARK) == self.mark
        return False

    def check_gone(self) -> None:
        """Raise WrongError, and end them, if some are still there after a while."""
        try:
            until(lambda: not self.living(), "the end of all processes", GONE)
        except WrongError:
            left = self.living()
            told = [f"{one.pid} {' '.join(one.cmdline())[:80]}" for one in left if one.is_running()]
            self.end()
            require(not told, f"orphans after {GONE:.0f} s: {'; '.join(told)}")

    def end(self) -> None:
        """Kill all of them."""
        for process in self.living():
            with contextlib.suppress(psutil.Error):
                process.kill()
