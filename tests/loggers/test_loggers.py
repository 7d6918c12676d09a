"""Loggers: what they write, and that none stops training."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from cyclegan import assemble
from cyclegan.loggers.grid import picture_grid
from cyclegan.loggers.jsonl import cut_back
from cyclegan.loggers.record import Journey, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.loggers.table import LOGGERS
from cyclegan.position import Position
from cyclegan.settings import from_table
from cyclegan.translation import Translation

SETTINGS = LoggerSettings(visdom=False)


def journey(folder: Path, **start: int) -> Journey:
    return Journey("run", folder, Position(**start), last_epoch=2, images_per_epoch=10)


@pytest.mark.parametrize("name", LOGGERS)
def test_contract(name: str, tmp_path: Path) -> None:
    """Any names and values, any order, then closed."""
    logger = LOGGERS[name](SETTINGS, journey(tmp_path))
    for images in (1, 2, 3):
        position = Position(1, images, images)
        logger.step(position)
        logger.record(Record(position, {"some_metric": 0.5, "learning_rate": 1e-4}))
        assert logger.pictures(position, Image.new("RGB", (8, 8))) is None
    assert logger.close() is None


def test_how_far_a_run_goes(tmp_path: Path) -> None:
    assert journey(tmp_path).images == 20
    assert journey(tmp_path, epoch=2, images_in_epoch=4, images=14).images == 20
    assert journey(tmp_path, epoch=3, images=20).images == 20


def test_lines_of_json(tmp_path: Path) -> None:
    logger = LOGGERS["losses.jsonl"](SETTINGS, journey(tmp_path))
    logger.record(Record(Position(1, 5, 5), {"cycle_a_to_b": 0.25}))
    written = (tmp_path / "losses.jsonl").read_text()  # before it is closed
    assert json.loads(written) == {"epoch": 1, "images": 5, "cycle_a_to_b": 0.25}
    logger.close()


def test_cutting_back(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    cut_back(path, 5)
    assert not path.exists()
    path.write_text('{"images": 2}\n{"images": 4}\n{"images": 6}\n{"images": 8')
    cut_back(path, 5)
    assert path.read_text() == '{"images": 2}\n{"images": 4}\n'
    path.write_text('{"images": 2}\n{"ima')
    cut_back(path, 5)
    assert path.read_text() == '{"images": 2}\n'


def test_plain_lines_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    logger = LOGGERS["console"](SETTINGS, journey(tmp_path))
    logger.step(Position(1, 5, 5))
    logger.record(Record(Position(1, 5, 5), {"cycle_a_to_b": 0.25, "images_per_second": 3.0}))
    logger.close()
    line = capsys.readouterr().out
    for words in (
        "run: 10 images an epoch, up to epoch 2",
        str(tmp_path),
        "epoch 1/2",
        "5/20 images",
        "3.00 images/s",
        "left 0:00",
        "cycle A>B 0.250",
    ):
        assert words in line


def test_a_bar_in_a_terminal(tmp_path: Path) -> None:
    """A real pseudo-terminal: the bar, the time left and the losses are on it."""
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/loggers']\n"
        "from pathlib import Path\n"
        "from test_loggers import SETTINGS, LOGGERS, Position, Record, journey\n"
        f"logger = LOGGERS['console'](SETTINGS, journey(Path({str(tmp_path)!r})))\n"
        "logger.step(Position(2, 5, 15))\n"
        "logger.record(Record(Position(2, 5, 15), {'cycle_a_to_b': 0.25}))\n"
        "logger.close()\n"
    )
    import os
    import pty

    root = Path(__file__).parents[2]
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], stdout=slave, env=env, cwd=root, check=True)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # the other end is closed: all is read
        pass
    os.close(master)
    text = shown.decode()
    for words in ("epoch 2/2", "━", "15/20 images", "left", "cycle A>B 0.250"):
        assert words in text


def translation(identity: bool = True) -> Translation:
    pictures = [torch.full((1, 3, 10, 12), value) for value in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    return Translation(*pictures[:4], pictures[4] if identity else None)


def test_the_grid_has_a_row_for_each_direction() -> None:
    grid = picture_grid({"a_to_b": translation(), "b_to_a": translation(identity=False)})
    assert grid.size == (4 * 16 + 4, 2 * (10 + 4 + 16) + 4)
    # Real, fake, cycled, identity: the middle of each picture has its value.
    row = [grid.getpixel((4 + 16 * column + 6, 4 + 16 + 5))[0] for column in range(4)]
    assert row == [0, 128, 191, 255]


def test_gray_and_colour_in_one_grid() -> None:
    gray = Translation(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8),
                       torch.zeros(1, 1, 8, 8), None)  # fmt: skip
    assert picture_grid({"a_to_b": gray}).mode == "RGB"


SERVER = "from visdom.server.run_server import main; main()"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def visdom_port(tmp_path: Path) -> Iterator[int]:
    """A real Visdom server."""
    port = free_port()
    command = [sys.executable, "-u", "-c", SERVER, "-port", str(port), "-env_path", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout
        for line in server.stdout:
            if b"navigate" in line:  # it listens before it says so
                break
        yield port
        server.kill()


def test_visdom_gets_losses_and_pictures(tiny: dict, visdom_port: int) -> None:
    import visdom

    tiny["loggers"] |= {"visdom": True, "display_port": visdom_port, "display_env": "mine"}
    assemble.train(from_table(tiny, "x"))
    client = visdom.Visdom(port=visdom_port, env="mine", use_incoming_socket=False)
    curve = json.loads(client.get_window_data("cycle_a_to_b"))
    assert curve["content"]["data"][0]["x"] == list(range(1, 13))
    assert json.loads(client.get_window_data("pictures"))["type"] == "image"


def test_without_a_server_training_goes_on_and_says_so_once(
    tiny: dict, caplog: pytest.LogCaptureFixture
) -> None:
    tiny["loggers"] |= {"visdom": True, "display_port": free_port()}
    assert assemble.train(from_table(tiny, "x")) is None
    assert caplog.text.count("no Visdom server at") == 1


def test_a_server_that_dies_stops_nothing(
    tiny: dict, visdom_port: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    settings = LoggerSettings(display_port=visdom_port)
    logger = LOGGERS["visdom"](settings, journey(tmp_path))
    logger.record(Record(Position(1, 1, 1), {"x": 1.0}))
    logger._client.port = free_port()  # as if it had gone: nobody listens there
    for _ in range(3):
        logger.record(Record(Position(1, 2, 2), {"x": 1.0}))
    assert caplog.text.count("is gone: training goes on") == 1
