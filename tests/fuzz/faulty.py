"""Readers with every fault that the harness knows: each must be found."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fuzz.targets import Target


def _corpus() -> Iterator[tuple[str, bytes]]:
    yield "x.txt", b""


def _raises(path: Path) -> None:
    raise KeyError(path.name)


def _hangs(path: Path) -> None:
    signal.pause()


def _dies(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _grows(path: Path) -> None:
    assert len(bytearray(b"x") * (1200 << 20))


def _writes(path: Path) -> None:
    Path("../written").touch()


def _writes_natively(path: Path) -> None:
    os.mkdir("../made")  # noqa: PTH102 (of which no hook hears)


def _starts(path: Path) -> None:
    subprocess.run(["true"], check=True)


def _only_hostile(use: object) -> Target:
    def read(path: Path) -> None:
        if path.read_bytes():
            use(path)  # type: ignore[operator]

    return Target(_corpus, read)


FAULTY = {
    "raises": (_only_hostile(_raises), "unhandled"),
    "hangs": (_only_hostile(_hangs), "too slow"),
    "dies": (_only_hostile(_dies), "died"),
    "grows": (_only_hostile(_grows), "too much memory"),
    "writes": (_only_hostile(_writes), "escaped"),
    "makes a folder": (_only_hostile(_writes_natively), "escaped"),
    "starts a program": (_only_hostile(_starts), "escaped"),
}
