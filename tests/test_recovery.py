"""Damaged and missing checkpoints: refused, and gone on from the newest one that is sound."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from training.test_loop import assert_same_run, flat

from cyclegan import checkpoint, cli
from cyclegan.checkpoint import Checkpoint, DamagedError
from cyclegan.errors import UserError
from cyclegan.resume import newest_sound, recover
from cyclegan.run import Position

STATE = {
    "networks": {"generator_a_to_b": {"weight": torch.arange(3000.0)}},
    "optimizers": {"generators": {0: {"step": torch.ones(()), "exp_avg": torch.rand(900)}}},
    "random": {"cpu": torch.zeros(50), "cuda": []},
    "pools": {"discriminator_a": {"images": [torch.rand(3, 9, 9)], "random": torch.zeros(50)}},
}


def at(images: int) -> Checkpoint:
    return Checkpoint({"run": {"name": "x"}}, STATE, Position(2, 1, images))


def a_run(folder: Path) -> Path:
    """Epoch 1 after 4 images, the best after 9, the previous after 8 and the latest after 12."""
    for images, epoch in ((4, "1"), (9, "best"), (8, "latest"), (12, "latest")):
        checkpoint.save(at(images), folder, epoch)
    return folder


def inside(path: Path, part: bytes, place: int = 0) -> int:
    """Where in the file `part` of a record begins, and so many bytes on."""
    return path.read_bytes().index(part) + place


def flip(path: Path, place: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)


def flip_a_moment(path: Path) -> None:
    moments = STATE["optimizers"]["generators"][0]["exp_avg"]
    flip(path, inside(path, moments.numpy().tobytes()[:64], 17))


def without(path: Path, part: str) -> None:
    """Saved anew, as whole as a file can be, without a part of the state."""
    content = torch.load(path)
    del content["state"][part]
    torch.save(content, path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "one bit of Adam's moments": flip_a_moment,
    "half of it": lambda path: os.truncate(path, path.stat().st_size // 2),
    "nothing in it": lambda path: os.truncate(path, 0),
    "another file": lambda path: path.write_bytes(b"hello" * 999),
    "not there": Path.unlink,
    "nothing that Adam has learnt": lambda path: without(path, "optimizers"),
}


def test_no_flipped_bit_is_trained_on(tmp_path: Path) -> None:
    path = checkpoint.save(at(4), tmp_path)
    whole, random, refused = path.read_bytes(), np.random.default_rng(0), 0
    sound = flat(checkpoint.load(path).state)
    for place in random.integers(0, len(whole), 150):
        flip(path, int(place))
        try:
            state = flat(checkpoint.load(path).state)
            assert all(torch.equal(value, sound[name]) for name, value in state.items())
        except DamagedError as error:
            assert "\n" not in str(error)
            refused += 1
        path.write_bytes(whole)
    assert refused > 75  # what is left lies between the records


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_newest_sound_one_takes_the_place_of_a_damaged_one(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = a_run(tmp_path)
    DAMAGE[damage](run / "latest.pt")
    (run / "losses.jsonl").write_text(json.dumps({"images": 15}) + "\n")
    assert recover(run).position.images == 9
    assert "resuming from best.pt (epoch 2, 9 images): 6 images of training are lost" in caplog.text
    assert "\n" not in caplog.messages[0]
    assert checkpoint.load(run / "latest.pt").position.images == 9
    assert (run / "latest.pt.damaged").exists() == (damage != "not there")
    caplog.clear()
    assert recover(run).position.images == 9
    assert not caplog.text


def test_the_damaged_one_itself_says_how_far_it_was(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    flip_a_moment(run / "latest.pt")
    assert newest_sound(run).lost == 12 - 9
    flip_a_moment(run / "best.pt")
    found = newest_sound(run)
    assert (found.path.name, found.lost) == ("previous.pt", 12 - 8)
    flip_a_moment(run / "previous.pt")
    assert newest_sound(run).path.name == "epoch_1.pt"
    flip_a_moment(run / "epoch_1.pt")
    with pytest.raises(UserError, match=r"latest\.pt: damaged.*no other valid checkpoint"):
        newest_sound(run)


def test_files_that_look_like_epochs_are_passed_over(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run / "epoch_7.pt").mkdir()
    (run / "epoch_01.pt").write_bytes((run / "epoch_1.pt").read_bytes())
    (run / "latest.pt").unlink()
    assert newest_sound(run).path.name == "best.pt"


def test_what_another_version_wrote_is_not_thrown_away(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    torch.save({"format": 99}, run / "latest.pt")
    with pytest.raises(UserError, match="format 99"):
        recover(run)
    assert not (run / "latest.pt.damaged").exists()


def dies_at(step: int, run: Path) -> bool:
    """Save the run at 16 images, killed before so many calls that change the folder."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, details: tuple) -> None:
            nonlocal left
            written = event == "open" and str(details[0]).startswith(str(run))
            if written or event in ("os.link", "os.rename", "os.remove"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        checkpoint.save(at(16), run)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("links", [True, False])
def test_killed_at_any_step_of_saving_a_run_goes_on(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:  # as on FAT and on some shares
        monkeypatch.setattr(os, "link", refused)
    step = 1
    while True:
        run = tmp_path / str(step)
        run.mkdir()
        a_run(run)
        died = dies_at(step, run)
        images = newest_sound(run).checkpoint.position.images
        assert images in ((12, 16) if died else (16,))
        assert not links or checkpoint.load(run / "latest.pt").position.images == images
        checkpoint.save(at(20), run)
        there = sorted(path.name for path in run.iterdir())
        assert there == ["best.pt", "epoch_1.pt", "latest.pt", "previous.pt"]
        assert checkpoint.load(run / "previous.pt").position.images in (12, 16)
        if not died:
            break
        step += 1
    assert step > 4


def test_a_run_goes_on_from_before_the_damage_as_if_nothing_had_been(
    tiny_flags: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = [*tiny_flags, "--save_epoch_freq", "0", "--save_latest_freq", "5"]
    whole, damaged = (tmp_path / "checkpoints" / name for name in ("whole", "damaged"))
    for run in (whole, damaged):
        assert cli.run(["train", *flags, "--name", run.name]) == 0
    latest = damaged / "latest.pt"
    numbers = checkpoint.load(latest).state["random"]["cpu"].numpy().tobytes()
    flip(latest, inside(latest, numbers))
    caplog.clear()
    where = ["--checkpoints_dir", str(damaged.parent), "--name", damaged.name]
    assert cli.run(["train", *where, "--continue_train"]) == 0
    assert "previous.pt (epoch 2, 10 images): 2 images of training are lost" in caplog.text
    assert_same_run(whole, damaged)
