"""The process that reads one input after the other, within bounds, and tells what came of each."""

import faulthandler
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

Kind = Literal[
    "read", "refused", "unhandled", "badly told", "too much memory", "escaped", "too slow", "died"
]
#: What becomes of an input that is no fault.
FINE: frozenset[Kind] = frozenset({"read", "refused"})
MEMORY = 1 << 30  # bytes that a case may take, resident, more than the process had before it
_GUARD = 6 << 30  # bytes that a process may take at all, so that nothing harms the machine
_LONGEST = 20_000  # characters of a message


@dataclass(frozen=True)
class Verdict:
    """What became of an input."""

    kind: Kind
    told: str = ""
    seconds: float = 0.0
    memory: int = 0
    """bytes, resident, more than before"""
    spent: bool = False
    """whether the process that found it can read nothing more"""


@dataclass
class _Watch:
    """What a case does beside reading: files written elsewhere, programs started, connections."""

    folder: Path
    seen: list[str] = field(default_factory=list)
    active: bool = False

    def hear(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            path, _, flags = given
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and isinstance(path, str | bytes | os.PathLike) and self._outside(path):
                self.seen.append(f"wrote {os.fsdecode(path)}")
        elif event in _STARTS:
            self.seen.append(f"started {event}: {str(given)[:200]}")
        elif event == "socket.connect" and not self._is_local(given):
            self.seen.append(f"connected to {given[1]}")

    def _outside(self, path: Any) -> bool:
        where = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
        inside = where == str(self.folder)  # a file without a name in it
        return not inside and not where.startswith((f"{self.folder}/", "/dev/"))

    def _is_local(self, given: tuple[Any, ...]) -> bool:
        address = given[1]
        return not isinstance(address, tuple) or str(address[0]) in ("127.0.0.1", "::1")


_STARTS = frozenset({"os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "pty.spawn"})


def main(connection: Connection, home: Path) -> None:
    """Answer for every (target, name, content) that comes, until nothing more does."""
    os.setpgid(0, 0)  # what it starts ends with it
    home.mkdir(parents=True)
    _settle(home)
    watch = _Watch(home / "case")
    sys.addaudithook(watch.hear)
    warmed: set[str] = set()
    try:
        while True:
            target, name, content = connection.recv()
            if target not in warmed:
                _warm(target, home)
                warmed.add(target)
            failed = _readied(target)
            connection.send(None)  # from here on its time counts
            connection.send(failed or _case(target, name, content, home, watch))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        os.killpg(0, signal.SIGKILL)  # with all servers


def _settle(home: Path) -> None:
    """Give the process a home of its own, bounds, and a place for what libraries print."""
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        os.environ[name] = str(home / "own" / name)
        Path(os.environ[name]).mkdir(parents=True)
    os.environ["FUZZ_SERVERS"] = str(home / "own" / "servers")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.dont_write_bytecode = True
    log = os.open(home / "own" / "printed", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable(file=2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_GUARD, _GUARD))


def _warm(target: str, home: Path) -> None:
    """Read the whole files, so that what is imported and kept counts for no case."""
    from fuzz.targets import target_named

    of = target_named(target)
    for seed in of.seeds():
        folder = _emptied(home / "case")
        (folder / seed.name).write_bytes(seed.content)
        with _in(folder):
            try:
                of.use(folder / seed.name)
            except of.refusals:
                if of.whole:
                    raise


def _readied(target: str) -> Verdict | None:
    """Wait for what reads a target's inputs; return a fault if an earlier input spoiled it."""
    from fuzz.targets import target_named

    try:
        target_named(target).ready()
    except Exception:
        return Verdict("unhandled", f"after earlier ones: {traceback.format_exc()}", spent=True)
    return None


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(folder.parent)


def _case(target: str, name: str, content: bytes, home: Path, watch: _Watch) -> Verdict:
    from fuzz.servers import running
    from fuzz.targets import target_named

    folder = _emptied(home / "case")
    (folder / name).write_bytes(content)
    os.truncate(1, 0)
    watch.seen.clear()
    processes = [os.getpid(), *(each.pid for each in running())]
    before = {pid: _reset_peak(pid) for pid in processes}
    begun = time.monotonic()
    with _in(folder):
        watch.active = True
        verdict = _used(target_named(target), folder / name)
        watch.active = False
    seconds = time.monotonic() - begun
    memory = max(_resident(pid, "VmHWM") - size for pid, size in before.items())
    strays = [*watch.seen, *(f"made {path}" for path in _strays(home))]
    kind, told = verdict
    if strays:
        kind, told = "escaped", "; ".join(strays)
    elif kind in FINE and memory > MEMORY:
        kind, told = "too much memory", f"{memory >> 20} MiB ({told})"
    return Verdict(kind, told, seconds, memory)


def _used(target: Any, path: Path) -> tuple[Kind, str]:
    try:
        target.use(path)
        return "read", ""
    except target.refusals as error:
        said = str(error)
        if not said or "\n" in said or len(said) > _LONGEST:
            return "badly told", said[:_LONGEST]
        return "refused", said
    except BaseException:
        return "unhandled", traceback.format_exc(limit=-12)[-6000:]


def _strays(home: Path) -> list[Path]:
    """What lies beside the case's folder and the process's own: it is removed, too."""
    found = [path for path in home.iterdir() if path.name not in ("case", "own")]
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return found


def _reset_peak(pid: int) -> int:
    """Begin to measure the largest resident size anew; return the size now, in bytes."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _resident(pid, "VmRSS")


def _resident(pid: int, what: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))
    except (OSError, StopIteration):  # it is gone, or this system tells no sizes
        return 0
