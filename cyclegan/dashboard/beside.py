"""A dashboard beside a training, for as long as the training lasts."""

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cyclegan.dashboard import DashboardSettings, address
from cyclegan.dashboard.login import read_login
from cyclegan.errors import UsageError
from cyclegan.loggers import LoggerSettings
from cyclegan.run import RunSettings

log = logging.getLogger(__name__)
HERE = ("localhost", "127.0.0.1", "::1")
SAVING = 30.0  # seconds that it may take to save its environments


@contextmanager
def dashboard_beside(loggers: LoggerSettings, run: RunSettings) -> Iterator[None]:
    """Run a Visdom server within the block, or use one that answers already; print its address.

    Raises UsageError, UserError.
    """
    if not loggers.visdom:
        raise UsageError(
            "--dashboard shows what is sent to it: it can't be combined with --no_visdom"
        )
    if loggers.display_port > 65535:
        raise UsageError(f"--display_port {loggers.display_port}: the highest port is 65535")
    server, page = address.server_of(loggers), address.page_of(loggers, run)
    answer = address.who_answers(server)
    if answer == "visdom":
        _tell(f"dashboard: {page}  (a server that is already running)\n")
        with address.told_once(page):
            yield
        return
    if answer == "another":
        raise UsageError(
            f"--dashboard: the program at {server} is not a Visdom server: give another "
            "--display_port"
        )
    process = _start(loggers, run)
    _tell(f"dashboard: {page}\n")
    try:
        with address.told_once(page):
            yield
    finally:
        _stop(process)
        _tell(f"dashboard: stopped; reopen it with: {_again(loggers, run)}\n")


def _start(loggers: LoggerSettings, run: RunSettings) -> "subprocess.Popen[bytes]":
    """Start a server on a socket that already listens, so that nothing sent to it is refused.

    The server has its own session: Ctrl-C is for the training, which still has pictures to send.
    """
    host = _host(loggers)
    read_login(host)
    address.make_folder(DashboardSettings(checkpoints_dir=run.checkpoints_dir).folder)
    with address.listen(host, loggers.display_port, "--display_port") as listening:
        folder, env = str(run.checkpoints_dir), loggers.display_env or run.name
        words = [str(listening.fileno()), str(os.getpid()), folder, host, env]
        return subprocess.Popen(
            [sys.executable, "-m", "cyclegan.dashboard.server", *words],
            stdin=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )


def _host(loggers: LoggerSettings) -> str:
    """Return the address to listen on. Raises UsageError if it is not this machine's."""
    parts = urlsplit(address.server_of(loggers))
    if parts.hostname not in HERE or parts.scheme != "http":
        raise UsageError(
            f"--display_server {loggers.display_server}: no Visdom server answers there, and "
            "--dashboard starts one on http://localhost only"
        )
    return "::1" if parts.hostname == "::1" else "127.0.0.1"


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(SAVING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _again(loggers: LoggerSettings, run: RunSettings) -> str:
    """Return the command that shows the run later, with the flags that differ from the defaults."""
    words = ["cyclegan", "dashboard"]
    if run.checkpoints_dir != Path("checkpoints"):
        words += ["--checkpoints_dir", str(run.checkpoints_dir)]
    if loggers.display_port != DashboardSettings().port:
        words += ["--port", str(loggers.display_port)]
    return shlex.join(words)


def _tell(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
