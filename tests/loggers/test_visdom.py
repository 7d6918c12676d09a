"""The Visdom logger against real servers: killed, restarted, slow and refusing ones too."""

import logging
import math
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from visdom_server import Server, eventually, free_port

from cyclegan import assemble, checkpoint
from cyclegan.loggers import LoggerSettings, visdom_page
from cyclegan.loggers.curves import POINTS
from cyclegan.loggers.logger import Logger, Record, RunInfo
from cyclegan.loggers.table import LOGGERS
from cyclegan.run import Position
from cyclegan.settings import from_table


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.kill()


class Run:
    """The loggers that a run has: files first, then Visdom."""

    def __init__(self, folder: Path, port: int, start: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        here = RunInfo("run", folder, Position(1, start, start), 2, 10_000, guessing=0.25)
        settings = LoggerSettings(display_port=port)
        names = ("losses.jsonl", "pictures", "visdom")
        self.loggers: list[Logger] = [LOGGERS[name].make(settings, here) for name in names]

    def log(self, images: Iterable[int], **values: float) -> None:
        for place in images:
            record = Record(Position(1, place, place), {"cycle_a_to_b": place / 2, **values})
            for logger in self.loggers:
                logger.record(record)

    def show(self, images: int, shade: int = 0) -> None:
        grid = Image.new("RGB", (40, 40), (shade, 0, 0))
        for logger in self.loggers:
            logger.pictures(Position(1, images, images), {"held_out": grid, "batch": grid})

    def save(self, images: int) -> None:
        for logger in self.loggers:
            logger.saved(Position(1, images, images))

    def close(self) -> None:
        for logger in self.loggers:
            logger.close()


def test_a_training_is_shown(tiny: dict, server: Server) -> None:
    tiny["loggers"] |= {"visdom": True, "display_port": server.port, "display_env": "mine"}
    assemble.train(from_table(tiny, "x"))
    windows = {name: server.window(name, "mine") for name in (
        "health", "progress", "held_out", "batch", "settings",
        "adversarial_a_to_b", "adversarial_b_to_a", "cycle", "identity",
        "learning_rate", "images_per_second", "waiting_for_images", "memory_gib",
        "light_agreement", "diversity",
    )}  # fmt: skip
    assert all(windows.values())
    assert [window["i"] for window in windows.values()] == list(range(15)), "in a fixed order"
    lines = windows["cycle"]["content"]["data"]
    assert [line["name"] for line in lines] == [
        "cycle A→B, raw", "cycle B→A, raw", "cycle A→B", "cycle B→A"]  # fmt: skip
    assert all(line["x"] == list(range(1, 13)) for line in lines)
    names = {line["name"] for line in windows["adversarial_a_to_b"]["content"]["data"]}
    assert names >= {"generator A→B", "discriminator B"}
    assert windows["held_out"]["type"] == "image_history"
    captions = [picture["caption"] for picture in windows["held_out"]["content"]]
    assert captions == [
        *("epoch 1, 1 images", "epoch 1, 4 images", "epoch 2, 8 images", "epoch 2, 12 images")
    ]
    assert "data.crop_size" in windows["settings"]["content"]
    assert "12 of 12 (100%)" in windows["progress"]["content"]


def test_any_name_gets_a_chart(server: Server, tmp_path: Path) -> None:
    """A metric that comes now and then, later than the losses, in one direction first."""
    run = Run(tmp_path / "run", server.port)
    run.log([1])
    run.log([2], sharpness_a_to_b=0.5)
    run.log([3], sharpness_a_to_b=0.4, sharpness_b_to_a=0.3)
    run.log([4])
    run.close()
    lines = {line["name"]: line for line in server.window("sharpness")["content"]["data"]}
    assert lines["sharpness A→B, raw"]["y"] == [0.5, 0.4]
    assert lines["sharpness B→A, raw"]["y"] == [None, 0.3]
    assert server.x() == [1, 2, 3, 4]


def test_a_run_that_goes_on_is_drawn_without_gap_or_doubled_points(
    tiny: dict, server: Server
) -> None:
    """Real trainings: the first logs more than its checkpoint holds, as after a kill."""
    tiny["loggers"] |= {"visdom": True, "display_port": server.port}
    tiny["training"] |= {"n_epochs": 1, "n_epochs_decay": 0}
    settings = from_table(tiny, "x")
    assemble.train(settings)
    saved = checkpoint.load(settings.run.folder / "latest.pt")
    lost = Run(settings.run.folder, server.port, start=6)
    lost.loggers[2].close()
    with (settings.run.folder / "losses.jsonl").open("a") as file:
        file.write('{"epoch": 2, "images": 7, "cycle_a_to_b": 99.0}\n')
    tiny["training"] |= {"n_epochs": 2}
    assemble.train(from_table(tiny, "x"), resume=saved)
    assert server.x(env="tiny") == list(range(1, 13))
    raw = server.window("cycle", "tiny")["content"]["data"][0]["y"]
    assert 99.0 not in raw
    pictures = server.window("held_out", "tiny")["content"]
    assert [picture["caption"].split(", ")[1] for picture in pictures] == [
        "1 images", "4 images", "8 images", "12 images"]  # fmt: skip


def test_points_are_appended(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a thousand records one more costs what the second cost."""
    sizes: list[int] = []
    post = requests.Session.post

    def counting(session: requests.Session, url: str, data: Any = None, **more: Any) -> Any:
        sizes.append(len(data or ""))
        return post(session, url, data=data, **more)

    first = Run(tmp_path / "run", free_port())
    first.log(range(1, 1001))
    first.close()
    run = Run(tmp_path / "run", server.port, start=1000)
    assert eventually(lambda: len(server.x()) == 1000)
    monkeypatch.setattr(requests.Session, "post", counting)
    run.log([1001])
    run.close()
    assert server.x()[-2:] == [1000, 1001]
    assert 0 < max(sizes) < 4000, "a whole chart has more than 10,000 bytes"


def test_a_long_run_is_thinned_and_goes_on(server: Server, tmp_path: Path) -> None:
    first = Run(tmp_path / "run", free_port())
    first.log(range(1, 18_001))
    first.close()
    run = Run(tmp_path / "run", server.port, start=18_000)
    assert eventually(lambda: bool(server.x()))
    lines = server.window("cycle")["content"]["data"]
    assert POINTS / 4 < sum(len(line["x"]) for line in lines) <= POINTS
    x = server.x()
    distance = x[1] - x[0]
    assert x == list(range(x[0], x[-1] + 1, distance)), "evenly"
    assert x[-1] > 18_000 - distance
    run.log(range(18_001, 18_101))
    run.close()
    longer = server.x()
    assert longer[: len(x)] == x
    assert longer == list(range(x[0], longer[-1] + 1, distance))
    assert longer[-1] > 18_100 - distance


def test_pictures_behind_the_slider_are_thinned(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visdom_page, "HISTORY", 4)
    run = Run(tmp_path / "run", server.port)
    for images in range(1, 11):
        run.show(images)
    assert eventually(lambda: "10 images" in server.window("batch").get("title", ""))
    run.log([11])
    run.close()
    shown = [content["caption"] for content in server.window("held_out")["content"]]
    assert len(shown) <= 8
    assert shown[0] == "epoch 1, 1 images"
    assert shown[-1] == "epoch 1, 10 images"
    assert server.window("batch")["title"].endswith("epoch 1, 10 images")


def test_after_thinning_pictures_are_added_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redrawn = []
    redraw = visdom_page.Page.redraw
    monkeypatch.setattr(visdom_page, "HISTORY", 4)
    monkeypatch.setattr(
        visdom_page.Page, "redraw", lambda self, *args: (redrawn.append(1), redraw(self, *args))
    )
    run = Run(tmp_path / "run", server.port)
    for images in range(1, 13):
        run.show(images)
        run.log([images])
        assert eventually(lambda images=images: server.x()[-1:] == [images])
    run.close()
    # What comes with the tenth may be drawn before or after the thinning.
    assert len(server.window("held_out")["content"]) in (6, 7), "nine or ten became four"
    assert len(redrawn) == 2, "at the start, and when there were more than eight"


def test_two_runs_of_one_name_do_not_draw_over_each_other_for_ever(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = (Run(tmp_path / name, server.port) for name in ("one", "other"))
    for images in range(1, 30):
        for run in (one, other):
            run.log([images])
            if "another run logs" not in caplog.text:
                time.sleep(0.3)  # so that each finds the other's drawing
    assert eventually(lambda: "another run logs as run" in caplog.text)
    assert caplog.text.count("--display_env") == 1
    for run in (one, other):
        run.close()
    assert server.x() == list(range(1, 30)), "the other is shown whole"


def test_a_new_run_does_not_show_what_a_deleted_one_left(server: Server, tmp_path: Path) -> None:
    old = Run(tmp_path / "old", server.port)
    old.log([1, 2], luminance_a_to_b=1.0)
    old.close()
    assert server.window("luminance")
    new = Run(tmp_path / "new", server.port)
    new.log([1])
    new.close()
    assert server.window("luminance") == {}
    assert server.x() == [1]


def test_a_proxy_is_not_for_this_machine(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    run = Run(tmp_path / "run", server.port)
    run.log([1])
    run.close()
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name)
    assert server.x() == [1]


def test_a_damaged_picture_is_left_out(server: Server, tmp_path: Path) -> None:
    first = Run(tmp_path / "run", free_port())
    for images in (1, 2):
        first.show(images)
    first.close()
    (damaged, _) = sorted((tmp_path / "run" / "pictures" / "held_out").iterdir())
    damaged.write_bytes(b"")
    Run(tmp_path / "run", server.port, start=2).close()
    shown = [content["caption"] for content in server.window("held_out")["content"]]
    assert shown == ["epoch 1, 2 images"]


def test_without_a_server_training_goes_on_and_says_so_once(
    tiny: dict, caplog: pytest.LogCaptureFixture
) -> None:
    tiny["loggers"] |= {"visdom": True, "display_port": free_port()}
    assert assemble.train(from_table(tiny, "x")) is None
    assert [r.message for r in caplog.records if "Visdom" in r.message] == [
        f"no Visdom server at http://localhost:{tiny['loggers']['display_port']}: training "
        "continues, and everything is shown once one is running (cyclegan dashboard starts one; "
        "--no_visdom: don't try)"
    ]


def test_a_server_that_comes_later_shows_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(tmp_path)
    server.kill()
    run = Run(tmp_path / "run", server.port)
    run.log(range(1, 4))
    run.show(3)
    assert eventually(lambda: "no Visdom server" in caplog.text)
    server.start()
    assert eventually(lambda: server.x() == [1, 2, 3]), "without a further point"
    assert len(server.window("held_out")["content"]) == 1
    run.log([4])
    run.close()
    assert server.x() == [1, 2, 3, 4]
    server.kill()
    first, then = (record.message for record in caplog.records)
    assert first.startswith("no Visdom server at http://localhost:")
    assert then.endswith(f" is shown at http://localhost:{server.port}/env/run")


@pytest.mark.parametrize("saved", [True, False], ids=["saved before", "never saved"])
def test_a_server_killed_and_started_again_shows_everything(
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    saved: bool,
) -> None:
    """What it saved before is older than what it is shown now: that must not count as shown."""
    run = Run(tmp_path / "run", server.port)
    run.log([1, 2])
    run.show(2)
    if saved:
        run.save(2)
        assert eventually((tmp_path / "environments" / "run.json").exists)
    run.log([3])
    assert eventually(lambda: server.x() == [1, 2, 3] and "dashboard: http" in caplog.text)
    server.kill()
    run.log([4])
    assert eventually(lambda: "is gone" in caplog.text)
    run.log([5])
    run.show(5)
    server.start()
    assert eventually(lambda: server.x() == [1, 2, 3, 4, 5])
    run.log([6])
    run.close()
    assert server.x() == [1, 2, 3, 4, 5, 6]
    assert [c["caption"] for c in server.window("held_out")["content"]] == [
        "epoch 1, 2 images", "epoch 1, 5 images"]  # fmt: skip
    told = [record.message for record in caplog.records]
    assert told[0] == f"dashboard: http://localhost:{server.port}/env/run"
    assert len(told) == 3, "shown, gone, and back"
    assert capfd.readouterr().out == "", "the library's own line neither"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("saved", [True, False], ids=["saved before", "never saved"])
def test_a_restart_between_two_points_is_noticed(
    server: Server, tmp_path: Path, saved: bool
) -> None:
    """No request fails then; and windows that were saved before are there, but old."""
    run = Run(tmp_path / "run", server.port)
    run.log([1, 2])
    if saved:
        run.save(2)
        assert eventually((tmp_path / "environments" / "run.json").exists)
    run.log([3])
    assert eventually(lambda: server.x() == [1, 2, 3])
    server.kill()
    server.start()
    run.log([4])
    assert eventually(lambda: server.x() == [1, 2, 3, 4])
    run.close()
    assert server.window("settings")


def test_what_found_no_place_in_the_queue_is_not_lost(server: Server, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", server.port)
    run.log([1])
    assert eventually(lambda: server.x() == [1])
    server.pause()
    run.log(range(2, 400))
    server.go_on()
    run.log([400])
    assert eventually(lambda: server.x() == list(range(1, 401)))
    run.close()


def test_a_window_that_was_closed_comes_back_whole(server: Server, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", server.port)
    run.log([1, 2])
    assert eventually(lambda: server.x() == [1, 2])
    server.client().close("cycle")
    run.log([3])
    run.close()
    assert server.x() == [1, 2, 3]


class Watched:
    """Notes what the thread that made it does with files and sockets, by Python's own audit."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._on, self._thread = False, threading.get_ident()
        sys.addaudithook(self._hear)  # for good: a hook can't be taken away

    def _hear(self, event: str, args: object) -> None:
        ours = self._on and threading.get_ident() == self._thread
        if ours and event.split(".")[0] in ("open", "socket", "os", "subprocess"):
            self.seen.append(event)

    def __enter__(self) -> "Watched":
        self._on = True
        return self

    def __exit__(self, *error: object) -> None:
        self._on = False


@pytest.mark.parametrize("state", ["absent", "well", "slow", "hanging"])
def test_handing_over_takes_no_time(state: str, tmp_path: Path) -> None:
    """Whatever the server does: under a millisecond a point, and no file or socket is touched."""
    server = Server(tmp_path, delay=10 if state == "slow" else 0)
    if state == "absent":
        server.kill()
    if state == "hanging":
        server.pause()
    logger = LOGGERS["visdom"].make(
        LoggerSettings(display_port=server.port), RunInfo("run", tmp_path, Position(), 2, 10)
    )
    values = {f"loss_{number}": 0.5 for number in range(12)}
    grid = Image.new("RGB", (1000, 1000))
    times = []
    with Watched() as watched:
        for images in range(1, 301):
            position = Position(1, images, images)
            start = time.perf_counter()
            logger.step(position)
            logger.record(Record(position, values))
            logger.pictures(position, {"held_out": grid, "batch": grid})
            logger.saved(position)
            times.append(time.perf_counter() - start)
    assert watched.seen == []
    assert sorted(times)[len(times) * 9 // 10] < 0.001
    start = time.perf_counter()
    logger.close()
    assert time.perf_counter() - start < 8, "the end of a training is not held up either"
    if state == "hanging":
        server.go_on()
    server.kill()


def test_a_slow_server_gets_everything_in_the_end(tmp_path: Path) -> None:
    """More is logged than may wait: what does not fit is read from the files."""
    server = Server(tmp_path, delay=0.2)
    run = Run(tmp_path / "run", server.port)
    run.log(range(1, 501))
    assert eventually(lambda: server.x() == list(range(1, 501)), seconds=60)
    run.close()
    server.kill()


def test_a_hanging_server_is_given_up_and_taken_back(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run = Run(tmp_path / "run", server.port)
    run.log([1])
    assert eventually(lambda: "dashboard: " in caplog.text)
    monkeypatch.setattr("cyclegan.loggers.visdom.PATIENCE", 1.0)
    server.pause()
    run.log([2])
    assert eventually(lambda: "is gone" in caplog.text)
    server.go_on()
    assert eventually(lambda: server.x() == [1, 2])
    run.close()


def test_a_wrong_password_is_told_once_and_a_right_one_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path, login=("me", "right horse"))
    for password in (None, "wrong horse"):
        if password:
            monkeypatch.setenv("VISDOM_USERNAME", "me")
            monkeypatch.setenv("VISDOM_PASSWORD", password)
        caplog.clear()
        run = Run(tmp_path / "refused", server.port)
        run.log([1])
        assert eventually(lambda: "rejects the login" in caplog.text)
        run.log([2])
        run.close()
        assert len(caplog.records) == 1
        assert "VISDOM_PASSWORD" in caplog.text
    assert server.x() == []
    monkeypatch.setenv("VISDOM_PASSWORD", "right horse")
    run = Run(tmp_path / "run", server.port)
    run.log([1, 2])
    run.close()
    assert server.x() == [1, 2]
    server.kill()
    assert "right horse" not in caplog.text
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert files
    assert not any(b"right horse" in path.read_bytes() for path in files)


def test_nan_is_on_the_page(server: Server, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", server.port)
    run.log([1, 2])
    run.log([3], identity_a_to_b=math.nan)
    run.close()
    assert "identity A→B: NaN or infinite after 3 images" in server.window("health")["content"]
    assert server.x() == [1, 2, 3]


def test_texts_are_no_html(server: Server, tmp_path: Path) -> None:
    here = RunInfo("run", tmp_path, Position(), 2, 10, settings={"run.name": "<script>x</script>"})
    logger = LOGGERS["visdom"].make(LoggerSettings(display_port=server.port), here)
    logger.close()
    assert "<script>" not in server.window("settings")["content"]
    assert "&lt;script&gt;" in server.window("settings")["content"]


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISDOM_USERNAME", raising=False)
    monkeypatch.delenv("VISDOM_PASSWORD", raising=False)


@pytest.fixture(autouse=True)
def only_our_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "cyclegan")
