"""Training in turns: each run resumes where it was, for so much processor time."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import tomli_w

from cyclegan.atomic import atomic_write
from cyclegan.errors import UserError
from cyclegan.run import RunFolder
from cyclegan.settings import Settings

#: What a training is started by: it ends, without saving, when the study that reads along does.
_CHILD = """
import os, runpy, sys, threading
def end(): os.read(0, 1); os._exit(1)
threading.Thread(target=end, daemon=True).start()
runpy.run_module("cyclegan", run_name="__main__")
"""
_LOOK = 0.02  # seconds between two looks at what was spent


@dataclass(frozen=True)
class Turn:
    """Outcome of a turn."""

    seconds: float
    """elapsed"""
    finished: bool
    """whether the run reached its last epoch"""


def train_on(
    settings: Settings, turn: int, seconds: float, *, by_clock: bool, tell: Callable[[float], None]
) -> Turn:
    """Train a run for `seconds` from the end of turn `turn` (0: from nothing).

    Processor seconds of all its processes, or those of the clock, from its first step on. `tell` is
    called with the share done. What was trained after that turn, by a study that was killed, is
    trained again. Raises UserError where training fails.
    """
    folder = settings.run.folder
    if turn:
        _copy(place(folder, turn), RunFolder(folder).latest)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    with _training(settings, goes_on=turn > 0) as process:
        spent = _watch(process, RunFolder(folder).latest, seconds, by_clock=by_clock, tell=tell)
    if process.returncode not in (0, settings.run.stop_exit_code):
        log = _log(settings)
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise UserError(f"{settings.run.name}: its training failed: {''.join(last)} ({log})")
    _copy(RunFolder(folder).latest, place(folder, turn + 1))
    return Turn(spent, process.returncode == 0)


def place(folder: Path, turn: int) -> Path:
    """Return the path of a run's checkpoint at the end of a turn."""
    return folder / f"turn_{turn}.pt"


def forget(folder: Path, kept: set[int]) -> None:
    """Remove the checkpoints of all turns but `kept`."""
    for path in folder.glob("turn_*.pt"):
        if path not in {place(folder, turn) for turn in kept}:
            path.unlink()


@contextmanager
def _training(settings: Settings, *, goes_on: bool) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the training process while entered; what is left of it at the end is killed."""
    run = settings.run
    preset = run.checkpoints_dir / f"{run.name}.toml"
    with atomic_write(preset) as unfinished:
        unfinished.write_text(tomli_w.dumps(settings.table()))
    command = [sys.executable, "-c", _CHILD, "train", str(preset)]
    if goes_on:
        where = ["--checkpoints_dir", str(run.checkpoints_dir), "--name", run.name]
        command = [*command[:-1], "--continue_train", *where]
    with (
        _log(settings).open("ab") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _watch(
    process: "subprocess.Popen[bytes]",
    latest: Path,
    seconds: float,
    *,
    by_clock: bool,
    tell: Callable[[float], None],
) -> float:
    """Ask the process to end after `seconds`; return the seconds that were spent."""
    before, start, spent, asked = _stamp(latest), None, 0.0, False
    read = time.monotonic if by_clock else _Meter(process.pid)
    while process.poll() is None:
        now = read()
        if start is None and _stamp(latest) != before:
            start = now  # it saves before its first step
        if start is not None and not asked:
            spent = now - start
            tell(min(1.0, spent / seconds))
            if asked := spent >= seconds:
                process.send_signal(signal.SIGTERM)
        time.sleep(_LOOK)
    return spent


class _Meter:
    """Meter of processor seconds of a process and its descendants, user and system.

    The sum never goes back.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most: dict[int, float] = {}

    def __call__(self) -> float:
        with suppress(psutil.Error):
            process = psutil.Process(self._pid)
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.Error):
                    times = one.cpu_times()
                    self._most[one.pid] = times.user + times.system
        return sum(self._most.values())


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _log(settings: Settings) -> Path:
    return settings.run.checkpoints_dir / f"{settings.run.name}.log"


def _copy(path: Path, to: Path) -> None:
    with atomic_write(to) as unfinished:
        shutil.copyfile(path, unfinished)
        os.utime(unfinished)
