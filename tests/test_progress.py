"""What long work shows: bars on a real terminal, lines in a log."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import GOLDEN, smooth_image
from filming import film, scene

from cyclegan.progress import _time, part, progress_bar, tracked

FILE = str(GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth")
#: As the command, but impatient: what is shown after seconds is shown at once.
CODE = """
import cyclegan.progress as progress
progress.PATIENCE, progress.EVERY = 0.0, 0.05
from cyclegan.cli import main
main()
"""
LONG = "a_view_of_the_old_harbour_in_the_evening_sun.png"
STOP = re.compile(r"[\r\n]|\x1b\[[\d;?]*[A-La-ln-zN-Z]")
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def shown(columns: int, *command: str, **environment: str) -> Iterator[str]:
    """All that a command shows on a terminal so wide, row by row as they come."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    variables = {**os.environ, "TERM": "xterm", **environment}
    variables.pop("COLUMNS", None)
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=variables) as process:
        os.close(its)
        rest = ""
        try:
            while part := os.read(ours, 65536):
                *rows, rest = STOP.split(COLOUR.sub("", rest + part.decode(errors="replace")))
                yield from filter(None, rows)
        except OSError:  # as Linux says that nobody has it open any more
            yield from filter(None, [rest])
        finally:
            process.kill()
            os.close(ours)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small pictures, and a large one."""
    folder = tmp_path_factory.mktemp("photos")
    smooth_image(1).save(folder / LONG)
    smooth_image(2).save(folder / "small.png")
    smooth_image(3, (990, 990)).save(folder / "z_large.png")
    return folder


@pytest.mark.parametrize("columns", [100, 60])
def test_bars_fit_the_terminal(columns: int, photos: Path, tmp_path: Path) -> None:
    flags = ["--weights", FILE, "--input", str(photos), "--output", str(tmp_path / "out")]
    how = ["--tile", "exact", "--precision", "fp32"]
    rows = list(shown(columns, sys.executable, "-c", CODE, "convert", *flags, *how))
    begun = [
        next(number for number, row in enumerate(rows) if row.startswith(words))
        for words in ("starting convert", "looking for pictures", "loading", "converting")
    ]
    assert begun == sorted(begun)
    bars = [row.rstrip() for row in rows if "━" in row]
    assert max(map(len, bars)) <= columns
    assert not [row for row in bars if row.endswith("…")]
    assert any(re.search(r"^converting +━+ 3/3 pictures in \d+ s$", row) for row in bars)
    assert any(row.startswith("a_view_o") and "…_sun.png" in row for row in rows)
    large = [row for row in bars if row.startswith("z_large.png 990x990")]
    shares = [int(found[1]) for row in large if (found := re.search(r" (\d+) %", row))]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2, "a picture that takes long has a bar that moves"
    assert rows[-1].startswith("3 converted")


def test_it_shows_life_while_torch_is_loaded(tmp_path: Path) -> None:
    """In place of torch a module that takes long to be imported, and then is none."""
    (tmp_path / "torch.py").write_text("import time; time.sleep(20)")
    flags = ["--weights", FILE, "--input", str(tmp_path), "--output", str(tmp_path / "out")]
    command = [sys.executable, "-m", "cyclegan", "convert", *flags]
    rows = shown(60, *command, PYTHONPATH=str(tmp_path))
    assert next(rows).startswith("starting convert ━")
    rows.close()


def test_a_log_tells_the_start_the_way_and_the_end(tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mp4", scene(60))
    flags = ["--weights", FILE, "--input", str(source), "--output", str(tmp_path / "made.mp4")]
    command = [sys.executable, "-c", CODE, "convert", *flags, "--precision", "fp32"]
    with (tmp_path / "log").open("wb") as log:
        subprocess.run(command, stdout=log, stderr=log, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "starting convert"
    assert f"loading {FILE}" in lines
    on_the_way = [line for line in lines if re.match(r"made\.mp4: \d+/60 frames, .*\d+ \w+", line)]
    assert on_the_way
    assert re.fullmatch(r"made\.mp4: 60/60 frames in \d+ s", lines[-2])
    assert lines[-1] == "1 converted, 0 skipped (finished before), 0 failed"
    assert "\x1b" not in "".join(lines)


def test_a_log_is_told_of_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Of one that looks like markup, and of one with a line's end in it."""
    with progress_bar() as bar:
        task = bar.add_task("[/red]\nx.jpg", total=2, unit="frames")
        bar.advance(task)
    assert list(tracked(["a", "b"], "looking", "images")) == ["a", "b"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["[/red]\\nx.jpg: 0/2 frames", "[/red]\\nx.jpg: 1/2 frames"]
    assert lines[2:] == ["looking: 0/2 images"]


def test_a_step_that_takes_longer_than_what_is_left_shows_the_time_it_took() -> None:
    clock = [0.0]
    bar = progress_bar()
    bar.get_time = lambda: clock[0]
    task = bar.add_task("converting", total=4, unit="pictures")
    (row,) = bar.tasks
    for _ in range(3):
        clock[0] += 1
        bar.advance(task)
    assert _time(row) == "1 s left"
    with part(bar, task, "large.png") as tell:
        clock[0] += 1
        assert _time(row) == "1 s left"
        clock[0] = 60
        tell(0.5)
        assert _time(row) == "60 s"
    assert row.completed == 3
