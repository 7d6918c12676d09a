"""A request to stop is honoured wherever a run waits: saved where there is something to save."""

import os
import signal
import threading
from pathlib import Path

import pytest
from training.test_loop import assert_same_run, with_changes

from cyclegan import assemble, checkpoint
from cyclegan.cli import run
from cyclegan.execution import choice
from cyclegan.training.interrupt import CompilerInterrupted, StopRequest


def stop_when_opened(fifo: Path, number: signal.Signals) -> threading.Thread:
    """Send this process a signal as soon as something reads `fifo`, which then waits for ever."""

    def wait() -> None:
        with fifo.open("wb"):
            os.kill(os.getpid(), number)
            ended.wait(60)

    ended = threading.Event()
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.done = ended  # type: ignore[attr-defined]
    return thread


@pytest.mark.parametrize(("workers", "number"), [(0, signal.SIGTERM), (2, signal.SIGINT)])
def test_while_waiting_for_an_image(
    tiny: dict, dataroot: Path, workers: int, number: signal.Signals
) -> None:
    """One image of six never comes: what was trained before is saved; it goes on from there."""
    data = {"num_threads": workers, "cache": "off", "serial_batches": True}
    settings = with_changes(tiny, data=data)
    blocked = dataroot / "trainA" / "2.png"
    picture = blocked.read_bytes()
    blocked.unlink()
    os.mkfifo(blocked)
    thread = stop_when_opened(blocked, number)
    assert assemble.train(settings) == number
    thread.done.set()
    thread.join()
    saved = checkpoint.load(settings.run.folder / "latest.pt")
    assert saved.position.images <= 2
    if workers == 0:
        assert saved.position.images == 2
    blocked.unlink()
    blocked.write_bytes(picture)
    assert assemble.train(settings, resume=saved) is None
    whole = with_changes(tiny, data=data, run={"name": "whole"})
    assemble.train(whole)
    assert_same_run(settings.run.folder, whole.run.folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_images_are_looked_at_before_training(
    tiny_flags: list[str],
    dataroot: Path,
    number: signal.Signals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocked = dataroot / "trainA" / "2.png"
    blocked.unlink()
    os.mkfifo(blocked)
    thread = stop_when_opened(blocked, number)
    assert run(["train", *tiny_flags]) == 128 + number
    thread.done.set()
    thread.join()
    shown = capsys.readouterr()
    assert shown.err.endswith(
        f"cyclegan: stopped by {number.name} before training; nothing is lost\n"
    )
    assert shown.out == "resume with: the same command again\n"


def test_while_the_execution_is_chosen(
    tiny_flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = choice._seconds

    def signalled(*args: object) -> float:
        seconds = measured(*args)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError(f"went on after {seconds} s")

    monkeypatch.setattr(choice, "_seconds", signalled)
    assert run(["train", *tiny_flags, "--precision", "auto", "--stop_exit_code", "75"]) == 75
    assert "stopped by SIGTERM before training" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(["train", *tiny_flags, "--n_epochs", "0", "--n_epochs_decay", "1"]) == 0
    assert (tmp_path / "checkpoints/tiny/latest.pt").is_file()


def test_a_compiler_that_the_signal_ends_ends_the_run() -> None:
    """Ctrl-C goes to the compiler too, which then fails."""
    with pytest.raises(CompilerInterrupted), StopRequest() as stop, stop.while_compiling(60.0):
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("the compiler was killed")
    with pytest.raises(RuntimeError), StopRequest() as stop, stop.while_compiling(60.0):
        raise RuntimeError("the compiler is broken")


def test_a_step_that_compiles_in_time_is_finished_and_saved() -> None:
    with StopRequest() as stop:
        with stop.while_compiling(60.0):
            signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_signal_that_another_thread_was_given_ends_the_wait_for_the_compiler() -> None:
    """The system gives it to any thread while the main one makes a process, signals blocked."""
    never, waits = threading.Lock(), threading.Event()
    never.acquire()
    killer = threading.Thread(target=lambda: waits.wait() and os.kill(os.getpid(), signal.SIGTERM))
    killer.start()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with pytest.raises(CompilerInterrupted), StopRequest() as stop, stop.while_compiling(0.1):
            waits.set()
            never.acquire(timeout=20)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    killer.join()
