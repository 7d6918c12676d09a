"""Without what only POSIX systems have, the package is imported and converts, as on Windows."""

import subprocess
import sys
from pathlib import Path

from conftest import GOLDEN, smooth_image
from PIL import Image

WEIGHTS = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
# A stand-in: no Windows is to be had here. Its modules and functions are taken away in a process.
LACKING = """
import importlib, os, pkgutil, signal, sys
import psutil, torch  # of other libraries only some parts are there on Windows

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Lacking())
for name in ("O_DIRECTORY", "O_NOFOLLOW", "fork", "killpg", "sched_getaffinity", "getuid"):
    delattr(os, name)
for name in ("SIGALRM", "setitimer", "pthread_sigmask", "SIGKILL", "SIGHUP"):
    delattr(signal, name)
"""


def printed(code: str, *args: object) -> str:
    command = [sys.executable, "-c", LACKING + code, *map(str, args)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_every_module_is_imported() -> None:
    code = """
import cyclegan
for module in pkgutil.walk_packages(cyclegan.__path__, "cyclegan."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""
    names = printed(code).split()
    assert "cyclegan.conversion.manifest" in names
    assert len(names) > 100


def test_pictures_are_converted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        smooth_image(number, (40, 32)).save(tmp_path / "in" / f"{number}.png")
    code = "from cyclegan.cli import main; main()"
    flags = ("--input", tmp_path / "in", "--output", tmp_path / "out", "--weights", WEIGHTS)
    flags += ("--compile", "off", "--precision", "fp32")
    assert "2 converted" in printed(code, "convert", *flags)
    with Image.open(tmp_path / "out" / "1.png") as image:
        assert image.size == (40, 32)
    assert "2 skipped" in printed(code, "convert", *flags)
