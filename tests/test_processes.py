"""Real processes: stopped, killed, resumed."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import GOLDEN, smooth_image
from training.test_loop import assert_same_run

from cyclegan import checkpoint
from cyclegan.commands import COMMANDS


def start(*args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cyclegan", "train", *args],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read what the process prints until a line holds `words`: an event, no sleep."""
    assert process.stdout
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"{words!r} never came: {process.communicate()}")


def train(*args: str) -> str:
    with start(*args) as process:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_resumed_run_is_the_same(
    tiny_flags: list[str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """To the whole process group, as Ctrl-C does: the data loader workers must not mind."""
    flags = [*tiny_flags, "--num_threads", "1", "--lr_policy", "constant", "--save_epoch_freq", "0"]
    with start(*flags, "--n_epochs", "3000") as process:
        wait_for(process, " 8/")
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "saved; resume with: cyclegan train --name tiny" in out
    assert "Traceback" not in err
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt")
    assert saved.position.images >= 8
    epochs = str(saved.position.epoch)
    where = ["--checkpoints_dir", str(tmp_path / "checkpoints"), "--n_epochs", epochs]
    train("--name", "tiny", "--continue_train", *where)
    train(*flags, "--name", "whole", "--n_epochs", epochs)
    assert_same_run(tmp_path / "checkpoints" / "whole", tmp_path / "checkpoints" / "tiny")


def test_kill_9_costs_at_most_the_work_since_the_last_save(
    tiny_flags: list[str], tmp_path: Path
) -> None:
    flags = [*tiny_flags, "--lr_policy", "constant", "--save_latest_freq", "4"]
    flags += ["--save_epoch_freq", "0"]
    with start(*flags, "--n_epochs", "3000") as process:
        wait_for(process, " 15/")
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    folder = tmp_path / "checkpoints" / "tiny"
    saved = checkpoint.load(folder / "latest.pt")
    assert saved.position.images >= 8, "only the newest one may still have been on its way"
    logged = len((folder / "losses.jsonl").read_text().splitlines())
    assert logged - saved.position.images <= 8
    epochs = str(saved.position.epoch)
    where = ["--checkpoints_dir", str(tmp_path / "checkpoints"), "--n_epochs", epochs]
    train("--name", "tiny", "--continue_train", *where)
    train(*flags, "--name", "whole", "--n_epochs", epochs)
    assert_same_run(tmp_path / "checkpoints" / "whole", folder)


def test_a_failure_in_a_loading_process_is_one_line_and_ends(
    tiny_flags: list[str], dataroot: Path
) -> None:
    for path in (dataroot / "trainB").iterdir():
        path.write_bytes(b"")
    with start(*tiny_flags, "--num_threads", "2") as process:
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("cyclegan: error: domain B: none of its 4 images")
    assert "Traceback" not in err


def test_a_run_has_one_trainer_at_a_time(tiny_flags: list[str], tmp_path: Path) -> None:
    where = ["--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", "tiny"]
    with start(*tiny_flags, "--n_epochs", "3000") as process:
        wait_for(process, " 2/")
        with start(*where, "--continue_train") as second:
            _, err = second.communicate(timeout=60)
            assert second.returncode == 1
        assert err.splitlines()[-1].endswith(
            "another process is training this run: wait until it has finished"
        )
        process.kill()
        process.communicate()
    train(*where, "--continue_train", "--n_epochs", "1", "--n_epochs_decay", "0")


ENDLESS = """#!/bin/sh
if [ -e "$WAITS" ]; then echo compiles > "$WAITS"; exec sleep 600; fi
exec g++ "$@"
"""

#: What a compiler that torch has not met before would do first, for half a minute.
QUICK_COMPILER = {
    "TORCHINDUCTOR_VEC_ISA_OK": "0",
    "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS": "0",
}


def test_a_signal_while_the_first_step_compiles(tiny_flags: list[str], tmp_path: Path) -> None:
    """By a compiler that never ends: the run says that it waits for it, and does so for moments."""
    compiler, waits = tmp_path / "endless", tmp_path / "waits"
    compiler.write_text(ENDLESS)
    compiler.chmod(0o755)
    env = {"CXX": str(compiler), "WAITS": str(waits), **QUICK_COMPILER}
    env |= {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    flags = ["--compile", "on", "--batching", "auto", "--stop_exit_code", "75"]
    with start(*tiny_flags, *flags, env=env) as process:
        try:
            wait_for(process, "running in fp32")  # the compiler was tried, and works
            os.mkfifo(waits)
            told = os.open(waits, os.O_RDONLY | os.O_NONBLOCK)
            assert select.select([told], [], [], 120)[0], "nothing is compiled"
            os.close(told)
            process.terminate()
            out, err = process.communicate(timeout=100)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # and the compiler with it
    assert process.returncode == 75, err
    assert "stopping: waiting for the compiler, up to 5 s; interrupt again to quit now\n" in err
    assert err.endswith("cyclegan: stopped by SIGTERM before training; nothing is lost\n")
    assert "saved; resume with: cyclegan train --name tiny" in out
    assert "Traceback" not in err
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt")
    assert saved.position.images == 0


WAITING = """
import time
from cyclegan.training.interrupt import StopRequest
with StopRequest() as stop:
    print("ready", flush=True)
    while True:
        time.sleep(60)
"""


def test_ctrl_c_a_second_later_quits_at_once() -> None:
    """Signals within a second are one request to save and stop, as `timeout` sends two."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert "interrupt again" in process.stderr.readline()
        try:
            while process.poll() is None and time.monotonic() < begun + 30:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.1)
            assert time.monotonic() - begun > 1
            assert process.returncode == 130
        finally:
            process.kill()


def stop_while_reading(pipe: Path, args: list[str], *signals: signal.Signals) -> tuple[int, str]:
    """Run a command that reads `pipe`, which nothing comes out of; send signals meanwhile.

    Returns its exit code and what it wrote to stderr.
    """
    os.mkfifo(pipe)
    # Whoever runs the tests in the background lets them ignore Ctrl-C.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "cyclegan", *args]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, heard)
    try:
        writer = None
        while writer is None and process.poll() is None:
            try:
                writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads it yet
                time.sleep(0.005)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.0005)  # or two of them become one
        err = process.communicate(timeout=60)[1].decode()
        if writer is not None:
            os.close(writer)
    finally:
        process.kill()
    return process.returncode, err


GOES_ON = "finished work is kept; run the same command to continue"
BEGINS_AGAIN = "nothing was changed; run the same command to start over"


@pytest.mark.parametrize(
    ("command", "signals", "sentence"),
    [
        ("convert", [signal.SIGINT], GOES_ON),
        # Repeated, as `timeout` sends it.
        ("convert --overwrite", [signal.SIGTERM] * 9, "run the same command to start over"),
        ("data check", [signal.SIGINT], BEGINS_AGAIN),
        ("evaluate", [signal.SIGTERM], BEGINS_AGAIN),
    ],
)
def test_a_stopped_command_says_how_to_go_on(
    command: str, signals: list[signal.Signals], sentence: str, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    smooth_image(1).save(folder / "a.png")
    weights = str(GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth")
    paths = ["--input", str(folder), "--output", str(tmp_path / "out")]
    convert = [*paths, "--weights", weights, "--compile", "off", "--precision", "fp32"]
    flags = {
        "convert": convert,
        "data check": [str(folder)],
        "evaluate": ["--real", str(folder), "--fake", str(folder)],
    }
    words = command.split(" --")[0]
    args = [*command.split(), *flags[words]]
    code, err = stop_while_reading(folder / "b.png", args, *signals)
    name = signals[0].name
    assert err.splitlines()[-1] == f"cyclegan: stopped by {name}; {sentence}"
    assert code == 128 + signals[0]
    assert "Traceback" not in err


ENDING = """
import atexit, os, signal, sys
from cyclegan.cli import main
atexit.register(os.kill, os.getpid(), signal.SIGTERM)
sys.argv = ["cyclegan", "--version"]
main()
"""


def test_a_signal_while_python_ends_changes_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_has_such_a_sentence() -> None:
    for name, command in COMMANDS.items():
        assert re.fullmatch(r"[^.]+; [^.]*the same command [^.]+", command.after_stop), name
