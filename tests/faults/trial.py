"""One trial of one fault: its folder, its random numbers, what it starts, what becomes of it."""

import random
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from faults.processes import (
    MARK,
    Family,
    Launcher,
    LostError,
    Program,
    WrongError,
    execute,
    require,
)

Outcome = Literal["survived", "lost", "wrong", "skipped"]


class SkippedError(Exception):
    """A fault that can't be made here, and why."""


@dataclass
class Kept:
    """What the trials of a run share: undisturbed results, servers; each is made once."""

    folder: Path
    launcher: Launcher = field(default_factory=Launcher)
    _made: dict[str, Any] = field(default_factory=dict)
    _ends: list[Callable[[], object]] = field(default_factory=list)
    _count: int = 0

    def once(self, name: str, make: Callable[[Path], Any]) -> Any:
        """Return what `make` makes in a folder of its own, made at the first call."""
        if name not in self._made:
            self._count += 1
            folder = self.folder / f"{self._count} {name}"
            folder.mkdir(parents=True)
            self._made[name] = make(folder)
        return self._made[name]

    def forget(self, name: str) -> None:
        """Let it be made anew."""
        self._made.pop(name, None)

    def at_end(self, end: Callable[[], object]) -> None:
        """Call `end` when the run ends."""
        self._ends.append(end)

    def close(self) -> None:
        """End what was started."""
        while self._ends:
            self._ends.pop()()
        self.launcher.close()


@dataclass
class Trial:
    """A fault that is being made, from a seed."""

    folder: Path
    draw: random.Random
    kept: Kept
    moment: str = ""
    """when it struck, in words"""
    programs: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.temporary.mkdir()
        self.family = Family(str(self.folder))

    @property
    def temporary(self) -> Path:
        """What the processes take for the system's temporary folder."""
        return self.folder / "tmp"

    @property
    def env(self) -> dict[str, str]:
        """What the processes find in their environment, beside what is there."""
        return {
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.kept.folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "NO_ALBUMENTATIONS_UPDATE": "1",
            "TORCH_CPP_LOG_LEVEL": "ERROR",
            MARK: self.family.mark,
        }

    def start(self, *args: str, env: dict[str, str] | None = None, **faults: int) -> Program:
        """Start `cyclegan ARGS`."""
        settings = self.env | (env or {})
        return self._own(self.kept.launcher.start(args, self.folder, settings, faults))

    def execute(self, *command: str) -> Program:
        """Start a program from nothing."""
        return self._own(execute(command, self.folder, self.env))

    def _own(self, program: Program) -> Program:
        self.programs.append(program)
        self.family.sessions.add(program.pid)
        return program

    def pause(self, most: float) -> float:
        """Wait up to `most` seconds, at random; return how long."""
        seconds = self.draw.uniform(0, most)
        time.sleep(seconds)
        return seconds

    def tell(self, moment: str) -> None:
        """Note when something was done."""
        self.moment = f"{self.moment}; {moment}" if self.moment else moment

    def check_end(self) -> None:
        """Raise WrongError for a process, temporary file or traceback that is left."""
        self.family.check_gone()
        # torchrun itself keeps a folder of logs.
        left = [path for path in self.temporary.iterdir() if not path.match("torchelastic_*")]
        require(not left, f"temporary files left: {left}")
        for program in self.programs:
            require("Traceback" not in program.printed(), f"a traceback: {program.printed()}")


@dataclass(frozen=True)
class Fault:
    """A row of the table: what is done to whom, and what must be true after."""

    name: str
    does: str
    after: str
    strike: Callable[[Trial], None]

    def tried(self, seed: int, folder: Path, kept: Kept) -> "Result":
        """Make the fault once, with what follows from `seed`; return what became of it."""
        trial = Trial(folder, random.Random(f"{self.name} {seed}"), kept)
        begun = time.monotonic()
        try:
            outcome, why = _outcome(self.strike, trial)
        finally:
            trial.family.end()
        seconds = round(time.monotonic() - begun, 1)
        return Result(self.name, seed, trial.moment, outcome, seconds, why)


def _outcome(strike: Callable[[Trial], None], trial: Trial) -> tuple[Outcome, str]:
    try:
        strike(trial)
        trial.check_end()
    except SkippedError as reason:
        return "skipped", str(reason)
    except LostError as error:
        return "lost", _in_short(error)
    except Exception as error:  # whatever the harness met: nobody may take it for survived
        return "wrong", _in_short(error)
    return "survived", ""


def _in_short(error: Exception) -> str:
    text = str(error) if isinstance(error, WrongError) else f"{type(error).__name__}: {error}"
    return text[-2000:]


@dataclass(frozen=True)
class Result:
    """The outcome of a trial."""

    fault: str
    seed: int
    moment: str
    outcome: Outcome
    seconds: float
    why: str = ""


@contextmanager
def as_wrong(what: str) -> Iterator[None]:
    """Raise what is asserted in the block as WrongError, in words."""
    try:
        yield
    except AssertionError as error:
        why = str(error) or traceback.extract_tb(error.__traceback__)[-1].line
        raise WrongError(f"{what}: {why}") from error
