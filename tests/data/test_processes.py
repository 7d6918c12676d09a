"""Loading processes that die, stand still or wait: no batch changes, and nothing hangs."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from cyclegan import assemble
from cyclegan.data import processes
from cyclegan.data.loader import LoadingError
from cyclegan.data.processes import DeadlyTaskError, LoadingProcesses
from cyclegan.settings import Settings, from_table

Squares = LoadingProcesses[int, int]


def square(number: int) -> int:
    return number * number


def nothing() -> None: ...


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "POLL", 0.05)
    monkeypatch.setattr(processes, "STILL", 6)


@pytest.fixture
def squares() -> Iterator[Squares]:
    loading = LoadingProcesses(square, 2, nothing)
    yield loading
    loading.close()


def pids(loading: Squares) -> list[int]:
    return [process._process.pid or 0 for process in loading._processes]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_lost_processes_change_no_result(
    squares: Squares, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    results = squares(range(40))
    seen = [next(results)]
    for _ in range(3):
        os.kill(pids(squares)[0], number)
        seen += [next(results) for _ in range(10)]
    assert [*seen, *results] == [n * n for n in range(40)]
    assert not pids(squares)
    cause = "signal 9" if number == signal.SIGKILL else "stopped by a signal"
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "starting another one",
        "continuing with 1",
        "loading in the training process now",
    ]
    assert caplog.text.count(f"a data loader worker died ({cause})") == 3
    assert list(squares(range(5))) == [0, 1, 4, 9, 16]


def test_an_epoch_that_was_left_does_not_reach_into_the_next(squares: Squares) -> None:
    first = squares(range(10, 20))
    assert next(first) == 100
    assert list(squares(range(7))) == [n * n for n in range(7)]


def kill_itself(task: int) -> int:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def test_what_ends_one_process_after_the_other_is_named() -> None:
    loading = LoadingProcesses(kill_itself, 2, nothing)
    results = loading(range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DeadlyTaskError, match=r"^3: signal 9$"):
        next(results)
    loading.close()


def lock_up(task: int) -> int:
    lock = threading.Lock()
    lock.acquire()
    return int(lock.acquire())


def test_a_process_that_waits_for_itself_is_ended() -> None:
    loading = LoadingProcesses(lock_up, 1, nothing)
    with pytest.raises(DeadlyTaskError, match=r"^5: locked up$"):
        next(loading([5]))
    loading.close()


def read_slowly(fifo: Path, task: int) -> int:
    return int(fifo.read_text())


def test_slow_storage_is_waited_for_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SLOW", 6)
    fifo = tmp_path / "slow"
    os.mkfifo(fifo)
    loading = LoadingProcesses(partial(read_slowly, fifo), 1, nothing)
    results = loading([0])

    def answer() -> None:
        with fifo.open("w") as file:
            while "slow storage" not in caplog.text:  # the message comes after several polls
                time.sleep(0.01)
            time.sleep(3 * processes.STILL * processes.POLL)
            file.write("7")

    thread = threading.Thread(target=answer)
    thread.start()
    assert next(results) == 7
    thread.join()
    assert "lost" not in caplog.text
    loading.close()


def test_the_processes_end_with_the_training_however_it_ends(tmp_path: Path) -> None:
    program = (
        "import os; from cyclegan.data.processes import LoadingProcesses\n"
        "loading = LoadingProcesses(abs, 3, dict)\n"
        "ids = (process._process.pid for process in loading._processes)\n"
        "print(next(loading([1])), *ids, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    first, *ids = map(int, run.stdout.split() or [run.stderr])
    assert (first, len(ids)) == (1, 3)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in ids if is_there(pid)):
        assert time.monotonic() < deadline, "orphans"
        time.sleep(0.02)


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def settings_of(tiny: dict, **data: object) -> Settings:
    return from_table({**tiny, "data": {**tiny["data"], **data}}, "tiny")


def test_files_that_end_the_processes_are_named(
    tiny: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = assemble._feed(
        settings_of(tiny, num_threads=1, serial_batches=True, cache="off"), torch.device("cpu")
    )
    monkeypatch.setattr(
        type(loader.images.a), "load", lambda self, index, seed: os.kill(os.getpid(), 9)
    )
    with pytest.raises(LoadingError, match=r"trainA/0.png, .*trainB/0.png killed two .*signal 9"):
        next(loader.epoch(1))
    loader.close()


SMALL = "mount -t tmpfs -o size=600k tmpfs /dev/shm && exec "


def test_little_shared_memory_is_enough(dataroot: Path) -> None:
    """As in Docker, but smaller; batches of 1.5 MB."""
    if subprocess.run(
        ["unshare", "-m", "sh", "-c", SMALL + "true"], capture_output=True
    ).returncode:
        pytest.skip("/dev/shm can't be made small here")
    program = (
        "from pathlib import Path; from data.test_unpaired import *\n"
        f"domains = [Domain(n, list_images(Path({str(dataroot)!r}) / f'train{{n}}'), 3,"
        " Augmentation(DataSettings(), 3)) for n in 'AB']\n"
        "images = UnpairedImages(*domains, seed=0, serial=True)\n"
        "loader = Loader(images, batch_size=1, workers=2, seed=0, serial=True)\n"
        "print(sum(len(batch) for batch in loader.epoch(1)))\n"
        "loader.close()"
    )
    command = ["unshare", "-m", "sh", "-c", SMALL + '"$0" -c "$1"', sys.executable, program]
    tests = str(Path(__file__).parents[1])
    run = subprocess.run(command, capture_output=True, text=True, cwd=tests, timeout=100)
    assert run.stdout == "6\n", run.stderr[-500:]
