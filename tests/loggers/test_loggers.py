"""Loggers: what they write, and that none stops training."""

import contextlib
import csv
import fcntl
import json
import math
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

import cyclegan
from cyclegan.atomic import UNFINISHED
from cyclegan.errors import UserError, format_duration, install
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.console import ConsoleLogger, Speed
from cyclegan.loggers.grid import cell, grid_rows, picture_grid
from cyclegan.loggers.jsonl import cut_back, read_records, write_table
from cyclegan.loggers.logger import Logger, Record, RunInfo
from cyclegan.loggers.table import LOGGERS, wanted
from cyclegan.run import Position
from cyclegan.translation import Translation

SETTINGS = LoggerSettings(visdom=False)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights & Biases writes into the run's folder, for lack of a network."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def run_info(folder: Path, **start: int) -> RunInfo:
    return RunInfo("run", folder, Position(**start), last_epoch=2, images_per_epoch=10)


@pytest.mark.parametrize("name", LOGGERS)
def test_contract(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any names and values, then closed: what it keeps is in the run's folder, and whole."""
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    for folder in (elsewhere, run):
        folder.mkdir()
    monkeypatch.chdir(elsewhere)
    tell(LOGGERS[name].make(SETTINGS, run_info(run)))
    assert list(elsewhere.iterdir()) == []
    assert not [path for path in run.rglob("*") if path.name.endswith(UNFINISHED)]


def tell(logger: Logger) -> None:
    """All that a training tells a logger."""
    for images in (1, 2, 3):
        position = Position(1, images, images)
        logger.step(position)
        logger.record(Record(position, {"some_metric": 0.5, "learning_rate": 1e-4}))
        grid = Image.new("RGB", (8, 8))
        assert logger.pictures(position, {"held_out": grid, "batch": grid}) is None
        assert logger.saved(position) is None
    assert logger.close() is None


def test_how_far_a_run_goes(tmp_path: Path) -> None:
    assert run_info(tmp_path).images == 20
    assert run_info(tmp_path, epoch=2, images_in_epoch=4, images=14).images == 20
    assert run_info(tmp_path, epoch=3, images=20).images == 20


def test_lines_of_json(tmp_path: Path) -> None:
    logger = LOGGERS["losses.jsonl"].make(SETTINGS, run_info(tmp_path))
    logger.record(Record(Position(1, 5, 5), {"cycle_a_to_b": 0.25}))
    written = (tmp_path / "losses.jsonl").read_text()  # before it is closed
    line = {"epoch": 1, "images": 5, "seconds": 0.0, "cycle_a_to_b": 0.25}
    assert json.loads(written) == line
    logger.close()


def test_cutting_back(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    cut_back(path, 5)
    assert not path.exists()
    path.write_text('{"images": 2}\n{"images": 4}\n{"images": 6}\n{"images": 8')
    cut_back(path, 5)
    assert path.read_text() == '{"images": 2}\n{"images": 4}\n'
    path.write_text('{"images": 2}\n\nmine\n{"images": 4}\n{"ima')
    cut_back(path, 5)
    assert path.read_text() == '{"images": 2}\n\nmine\n{"images": 4}\n', "nothing else is lost"


@pytest.mark.parametrize(
    "line",
    [
        '{"images": "5"}',
        '{"images": null}',
        '{"images": true}',
        '{"images": 5, "seconds": null}',
        "[]",
        "3",
        "",
        "{",
    ],
)
def test_lines_that_are_no_records_are_passed_over(line: str, tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    path.write_text(f'{{"images": 2}}\n{line}\n{{"images": 4, "a": 1, "note": "x", "b": true}}\n')
    assert [(r.position.images, r.values) for r in read_records(path)] == [(2, {}), (4, {"a": 1})]


def test_plain_lines_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    logger = LOGGERS["console"].make(SETTINGS, run_info(tmp_path))
    logger.step(Position(1, 5, 5))
    logger.record(Record(Position(1, 5, 5), {"cycle_a_to_b": 0.25, "images_per_second": 3.0}))
    logger.close()
    line = capsys.readouterr().out
    for words in (
        "run: 10 images per epoch, up to epoch 2",
        str(tmp_path),
        "epoch 1/2",
        "5/20 images",
        "3.00 images/s",
        "5 s left",
        "cycle A>B 0.250",
    ):
        assert words in line


LONG_RUN = """
from pathlib import Path
from cyclegan.loggers.console import ConsoleLogger
from cyclegan.loggers.logger import RunInfo
from cyclegan.loggers.logger import Record
from cyclegan.loggers import LoggerSettings
from cyclegan.run import Position

logger = ConsoleLogger(LoggerSettings(), RunInfo("run", Path("run"), Position(), 200, 6287))
position = Position(100, 0, 622_000)
for _ in range(5):
    position = position.after(1)
    logger.step(position)
terms = [f"{term}_{way}" for way in ("a_to_b", "b_to_a") for term in ("adversarial", "cycle")]
terms += ["identity_a_to_b", "identity_b_to_a", "discriminator_a", "discriminator_b"]
logger.record(Record(position, dict.fromkeys(terms, 12.345)))
logger.close()
"""


def on_a_terminal(code: str, columns: int, home: Path) -> list[str]:
    """What a program shows on a real pseudo-terminal so wide, line by line as it is seen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    env |= {"TERM": "xterm", "PYTHONPATH": str(Path(cyclegan.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    subprocess.run(command, stdout=slave, stderr=slave, env=env, cwd=home, check=True)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed: all is read
        while piece := os.read(master, 4096):
            shown += piece
    os.close(master)
    return [
        re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line).rstrip() for line in shown.decode().splitlines()
    ]


@pytest.mark.parametrize("columns", [40, 60, 100, 160])
def test_a_terminal_shows_whole_words_however_narrow(columns: int, tmp_path: Path) -> None:
    lines = on_a_terminal(LONG_RUN, columns, tmp_path)
    assert max(map(len, lines)) <= columns
    begins = max(number for number, line in enumerate(lines) if line.startswith("epoch 100/200"))
    text = "\n".join(lines[begins:])
    left = r"\d (s|min|h) left\b"  # a busy machine is slower
    for words in (r"epoch 100/200\b", r"\b622005/1257400 images\b", left, r"\d images/s"):
        assert re.search(words, text), text
    # What is left over is whole losses: some of them where the lines are short, all in longer ones.
    losses = re.findall(
        r"(?:adversarial|cycle|identity) [AB]>[AB] 12\.345|discriminator [AB] 12\.345", text
    )
    left = re.sub(r"epoch 100/200|622005/1257400 images|\d+ s left|[\d.]+ images/s|━|╸|╺", "", text)
    assert left.split() == " ".join(losses).split()
    assert len(losses) == (4 if columns < 100 else 8)
    assert ("━" in text) == (columns >= 100)


def test_the_first_step_is_no_measure_of_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It compiles for minutes; from then on a time that is told is by what was measured."""
    clock = iter([500.0, 501.0, 502.0, 503.0, 504.0])
    monkeypatch.setattr(time, "monotonic", clock.__next__)
    speed = Speed()
    told = []
    for images in (2, 4, 6, 8, 10):
        speed.note(images)
        told.append(speed.images_per_second)
    assert told == [None, None, None, 2.0, 2.0]


def test_the_speed_is_that_of_the_last_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a million steps a second no more is kept than of one."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    speed = Speed()
    for images in range(40_000):
        now[0] += 0.1 if images < 20_000 else 0.05
        speed.note(images)
    assert speed.images_per_second == pytest.approx(20.0, rel=0.01)
    assert len(speed._reached) <= 600


def test_a_run_of_months_is_warned_of_once_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for days, warnings in ((29, 0), (31, 1)):
        long = RunInfo("run", tmp_path, Position(), last_epoch=1, images_per_epoch=10_000)
        now = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda now=now: now[0])
        logger = ConsoleLogger(SETTINGS, long)
        for images in range(1, 8):
            now[0] += days * 86400 / 9_999
            logger.step(Position(1, images, images))
        logger.close()
        assert len(caplog.records) == warnings
    assert "about 31 days" in caplog.text
    assert "--crop_size" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (45.4, "45 s"),
        (100.0, "2 min"),
        (1200.0, "20 min"),
        (3599.0, "1 h"),
        (8100.0, "2 h 15 min"),
        (86399.0, "1 day"),
        (3.2 * 86400, "3 days 5 h"),
        (float("inf"), "11,574,074 days 2 h"),
    ],
)
def test_durations_are_spoken(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def translation(identity: bool = True) -> Translation:
    pictures = [torch.full((1, 3, 10, 12), value) for value in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    return Translation(*pictures[:4], pictures[4] if identity else None)


def test_the_grid_has_a_row_for_each_direction() -> None:
    grid = picture_grid({"a_to_b": translation(), "b_to_a": translation(identity=False)})
    times = 11  # 12 pixels become 132: at least 128, so that the names fit
    assert grid.size == (4 * (12 * times + 4) + 4, 2 * (10 * times + 4 + 16) + 4)
    # Real, fake, cycled, identity: the middle of each picture has its value.
    middle = [(4 + (12 * times + 4) * column + 66, 4 + 16 + 55) for column in range(4)]
    assert [grid.getpixel(place)[0] for place in middle] == [0, 128, 191, 255]


def test_gray_and_colour_in_one_grid() -> None:
    gray = Translation(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8),
                       torch.zeros(1, 1, 8, 8), None)  # fmt: skip
    assert picture_grid({"a_to_b": gray}).mode == "RGB"


def test_a_grid_that_stands_upright_with_a_gap() -> None:
    made = {"a_to_b": translation(), "b_to_a": translation(identity=False)}
    grid = picture_grid(made, upright=True)
    assert grid.size == (2 * 136 + 4, 4 * 130 + 4)
    assert grid.getpixel((140 + 66, 3 * 130 + 75)) == (255, 255, 255), "no identity there"


def test_a_picture_is_found_again_in_a_grid() -> None:
    squares = [torch.full((2, 3, 8, 8), value) for value in (-1.0, -0.5, 0.0, 0.5)]
    made = Translation(squares[0], squares[0], *squares[1:])
    grid = picture_grid({"a_to_b": made, "b_to_a": made}, rows=2)
    assert grid_rows(grid, side=8) == 4
    for row in range(4):
        values = [cell(grid, 8, row, column).getextrema()[0] for column in range(4)]
        assert values == [(0, 0), (64, 64), (128, 128), (191, 191)]


def test_pictures_after_the_place_that_a_run_goes_on_from_are_removed(tmp_path: Path) -> None:
    logger = LOGGERS["pictures"].make(SETTINGS, run_info(tmp_path))
    for images in (4, 8, 12):
        logger.pictures(Position(1, images, images), {"batch": Image.new("RGB", (8, 8))})
    (tmp_path / "pictures" / "batch" / "mine.png").touch()
    LOGGERS["pictures"].make(SETTINGS, run_info(tmp_path, images=8))
    left = sorted(path.name for path in (tmp_path / "pictures" / "batch").iterdir())
    assert left == ["epoch_001_images_0000004.png", "epoch_001_images_0000008.png", "mine.png"]


def test_what_is_no_number_is_null_and_read_as_nan(tmp_path: Path) -> None:
    logger = LOGGERS["losses.jsonl"].make(SETTINGS, run_info(tmp_path))
    logger.record(Record(Position(1, 5, 5), {"a": math.nan, "b": math.inf, "c": 1.0}, 2.5))
    logger.close()
    text = (tmp_path / "losses.jsonl").read_text()
    assert json.loads(text)["a"] is None
    assert "NaN" not in text
    (read,) = read_records(tmp_path / "losses.jsonl")
    assert read.position.images == 5
    assert read.seconds == 2.5
    assert math.isnan(read.values["b"])
    assert read.values["c"] == 1.0


def test_a_table_has_a_column_for_each_name(tmp_path: Path) -> None:
    """Of the log as it is; made again it holds what was logged since."""
    for count in (2, 3):
        logger = LOGGERS["losses.jsonl"].make(SETTINGS, run_info(tmp_path))
        for images, values in list(ROWS.items())[:count]:
            logger.record(Record(Position(1, images, images), values))
        logger.close()
        with write_table(tmp_path).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["images"], row["a"], row["kid"]) for row in rows] == TABLE[:count]
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".csv"] == ["losses.csv"]


ROWS = {1: {"a": 1.0}, 2: {"a": math.nan, "kid": 0.5}, 3: {"a": 3.0}}
TABLE = [("1", "1.0", ""), ("2", "nan", "0.5"), ("3", "3.0", "")]


def test_a_logger_implements_only_what_it_wants(tmp_path: Path) -> None:
    class Places(Logger):
        def __init__(self) -> None:
            self.seen: list[int] = []

        def saved(self, position: Position) -> None:
            self.seen.append(position.images)

    logger = Places()
    tell(logger)
    assert logger.seen == [1, 2, 3]


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # A run that was killed before its first save begins again; then it goes on from 2.
    for start, images in ((0, (1, 2, 3)), (0, (1, 2, 3)), (2, (3, 4))):
        logger = LOGGERS["tensorboard"].make(SETTINGS, run_info(tmp_path, images=start))
        for place in images:
            position = Position(1, place, place)
            logger.record(Record(position, {"cycle_a_to_b": place / 2}))
            logger.pictures(position, {"held_out": Image.new("RGB", (8, 8))})
        logger.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("cycle_a_to_b")] == [1, 2, 3, 4]
    assert events.Images("held_out")[-1].width == 8


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboard"), ("wandb", "wandb")])
def test_a_missing_package_is_one_line(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=re.escape(f"needs {package} ({install(package)})")):
        LOGGERS[name].make(SETTINGS, run_info(tmp_path))


def test_a_run_there_for_a_run_here(tmp_path: Path) -> None:
    """After a resume too: Weights & Biases is told the same identity."""
    for _ in range(2):
        LOGGERS["wandb"].make(SETTINGS, run_info(tmp_path)).close()
    folders = [path.name.split("-") for path in (tmp_path / "wandb").glob("offline-run-*")]
    runs = {parts[3] for parts in folders}  # offline, run, when, which; a number if it is taken
    assert runs == {(tmp_path / "wandb_id.txt").read_text()}


def test_without_a_login_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def refuse(**arguments: object) -> None:
        raise wandb.Error("no login")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(UserError, match="--use_wandb: no login; log in with 'wandb login'"):
        LOGGERS["wandb"].make(SETTINGS, run_info(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_grid_of_odd_sizes_stays_small() -> None:
    """A small picture beside a large one, as without scaling: the large one sets the scale."""
    sizes = [(16, 16), (700, 1400), (16, 16)]
    pictures = [torch.zeros(1, 3, height, width) for width, height in sizes]
    grid = picture_grid({"a_to_b": Translation(pictures[0], pictures[0], *pictures[1:], None)})
    assert grid.size == (3 * (512 + 4) + 4, 1024 + 4 + 16 + 4)


def test_only_wanted_loggers_are_made() -> None:
    def names(**flags: bool) -> set[str]:
        kinds = wanted(LoggerSettings(**flags))
        return {name for name, kind in LOGGERS.items() if kind in kinds}

    files = {"journey.json", "losses.jsonl", "pictures", "console"}
    assert names() == files | {"report", "visdom"}
    assert names(html=False, visdom=False) == files
    everything = names(tensorboard=True, use_wandb=True)
    assert everything == set(LOGGERS)
