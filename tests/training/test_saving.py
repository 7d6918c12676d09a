"""Saving beside the training, by images and by the clock; and what it leaves of the time."""

import threading
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn
from training.test_loop import assert_same_run, losses, with_changes

from cyclegan import assemble, checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.errors import UserError
from cyclegan.loggers.table import LOGGERS, LoggerKind
from cyclegan.run import Position
from cyclegan.training import TrainingSettings
from cyclegan.training.saving import SHARE, Pace, Saver, copied

weights = torch.zeros(1000)


def taken(position: Position) -> Checkpoint:
    return Checkpoint({}, {"networks": {"one": {"weights": weights}}}, position)


def at(images: int) -> Position:
    return Position(images=images)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Nothing is written before this is set."""
    write, event = checkpoint.save, threading.Event()

    def wait(*args: object) -> Path:
        assert event.wait(30)
        return write(*args)

    monkeypatch.setattr(checkpoint, "save", wait)
    return event


def test_what_changes_while_it_is_written_is_not_in_it(
    tmp_path: Path, held: threading.Event
) -> None:
    with Saver(taken, tmp_path, TrainingSettings(save_latest_seconds=0.0)) as saver:
        weights.fill_(1)
        saver.save(at(1), "5", "latest")
        weights.fill_(2)
        held.set()
    for name in ("latest.pt", "epoch_5.pt"):
        state = checkpoint.load(tmp_path / name).state
        assert bool((state["networks"]["one"]["weights"] == 1).all())


def test_one_is_written_at_a_time_and_what_was_due_is_made_up_for(
    tmp_path: Path, held: threading.Event
) -> None:
    settings = TrainingSettings(save_latest_seconds=0.0, save_latest_freq=10)
    with Saver(taken, tmp_path, settings) as saver:
        assert not saver.is_due(at(8), at(9))
        assert saver.is_due(at(9), at(10))
        saver.save(at(10), "latest")
        assert not saver.is_due(at(19), at(20)), "the last one is not written yet"
        held.set()
        assert saver._job is not None
        saver._job.result()
        assert saver.is_due(at(20), at(21)), "it was due before"
        saver.save(at(21), "latest")
        saver.wait()
        assert not saver.is_due(at(21), at(22))
    assert checkpoint.load(tmp_path / "latest.pt").position.images == 21


def test_minutes_ask_for_saving_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    saver = Saver(taken, tmp_path, TrainingSettings())
    never = Saver(taken, tmp_path, TrainingSettings(save_latest_minutes=0.0))
    now[0] += 599
    assert not saver.is_due(at(1), at(2))
    now[0] += 2
    assert saver.is_due(at(2), at(3))
    assert not never.is_due(at(2), at(3))
    saver.save(at(3), "latest")
    saver.wait()
    assert not saver.is_due(at(3), at(4))


@pytest.mark.parametrize(("seconds", "takes"), [(10.0, 0.01), (10.0, 3.0), (0.5, 40.0)])
def test_saving_and_drawing_take_less_than_a_tenth(
    seconds: float, takes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 100 steps a second, each of which would save and draw."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    paces, spent = (Pace(seconds), Pace(seconds)), 0.0
    while now[0] < 10_000:
        now[0] += 0.01
        for one in paces:
            if one.allows():
                with one.timed():
                    now[0] += takes
                spent += takes
    assert spent - 2 * takes <= 0.1 * now[0]
    assert spent >= min(0.05, takes / seconds) * now[0], "no seldomer than it has to be"
    assert SHARE * len(paces) < 0.1


def test_rows_are_the_same_however_seldom_pictures_are_drawn(tiny: dict) -> None:
    often, seldom = (
        with_changes(tiny, run={"name": name}, loggers={"display_seconds": seconds})
        for name, seconds in (("often", 0.0), ("seldom", 1000.0))
    )
    for settings in (often, seldom):
        assemble.train(settings)
    assert_same_run(often.run.folder, seldom.run.folder)
    assert [line["images"] for line in losses(seldom.run.folder) if "diversity_a_to_b" in line] == [
        *(4, 8, 12)
    ]
    drawn = [list((one.run.folder / "pictures/batch").iterdir()) for one in (often, seldom)]
    assert [len(files) for files in drawn] == [4, 1]


class FullDisk:
    """A logger that lets the disk be full from the fourth image on."""

    def __call__(self, settings: object, run_info: object) -> "FullDisk":
        self.folder = run_info.folder  # type: ignore[attr-defined]
        return self

    def step(self, position: Position) -> None:
        if position.images == 4:
            (self.folder / ".latest.pt.unfinished").symlink_to("/dev/full")

    def record(self, record: object) -> None: ...
    def pictures(self, position: Position, pictures: object) -> None: ...
    def saved(self, position: Position) -> None: ...
    def close(self) -> None: ...


def test_a_disk_that_fills_up_while_training_is_told_as_before(
    tiny: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_changes(tiny, training={"save_latest_freq": 2, "n_epochs": 500})
    monkeypatch.setitem(LOGGERS, "full", LoggerKind(FullDisk()))
    with pytest.raises(UserError, match=r"latest.pt: could not be saved \(No space left.*--contin"):
        assemble.train(settings)
    assert checkpoint.load(settings.run.folder / "latest.pt").position.images == 2
    assert max(line["images"] for line in losses(settings.run.folder)) < 100


def test_copies_keep_layouts_and_what_torch_notes_beside_its_tables() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(
        memory_format=torch.channels_last
    )
    state = {"network": network.state_dict(), "pool": [torch.ones(2)], "step": 3, "both": (1, "x")}
    copy = copied(state)
    assert isinstance(copy["network"], OrderedDict)
    assert copy["network"]._metadata == state["network"]._metadata
    for name, tensor in state["network"].items():
        assert torch.equal(copy["network"][name], tensor)
        assert copy["network"][name].stride() == tensor.stride()
        assert copy["network"][name].data_ptr() != tensor.data_ptr()
    assert copy["pool"][0].data_ptr() != state["pool"][0].data_ptr()
    assert (copy["step"], copy["both"]) == (3, (1, "x"))
