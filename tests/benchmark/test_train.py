"""The benchmark's figures are complete; no test holds a time."""

import json
import re
from pathlib import Path

import pytest
import torch

from cyclegan import assemble
from cyclegan.benchmark import train
from cyclegan.benchmark.report import measure, measure_memory
from cyclegan.cli import run
from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError
from cyclegan.execution.execution import Execution
from cyclegan.settings import from_table
from cyclegan.training.state import Averages
from cyclegan.training.step import LossWatch


def flags(tiny_flags: list[str]) -> list[str]:
    return [*tiny_flags, "--compile", "off"]


def test_json_holds_times_memory_and_the_plan(
    tiny_flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["benchmark", "train", *flags(tiny_flags), "--pairs", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["time"]) == {"plain", "chosen", "ratio"}
    assert told["time"]["ratio"]["min"] <= told["time"]["ratio"]["median"]
    assert told["memory"]["plain"] > 50 * 2**20 < told["memory"]["chosen"]
    assert told["memory"]["ratio"] == told["memory"]["chosen"] / told["memory"]["plain"]
    assert told["steps"] == 2 * 6, "two epochs of the larger domain"
    assert told["seconds"] == pytest.approx(told["steps"] * told["time"]["chosen"])
    assert told["rate"] == pytest.approx(told["multiply_adds"] / told["time"]["chosen"])
    assert told["peak_rate"] > 0


def test_a_table_for_people(tiny_flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            [
                "benchmark",
                "train",
                *flags(tiny_flags),
                "--batching",
                "auto",
                "--pairs",
                "1",
                "--plain",
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert re.search(r"chosen: fp32, \d+ threads?", shown)
    assert "12 steps" in shown
    assert "a step" in shown


def test_what_is_chosen_for_large_images_takes_less_memory(tiny: dict) -> None:
    tiny["data"] |= {"load_size": 192, "crop_size": 192}
    tiny["generator"] |= {"ngf": 32, "n_blocks": 6}
    settings = from_table(tiny, "test").table()
    fast = Execution(
        "cpu", 2, "bf16", channels_last=True, recompute="light", backward_per_part=True
    )
    given = ({"settings": settings, "execution": way.table()} for way in (Execution(), fast))
    memory = measure_memory("cyclegan.benchmark.train", *given)
    assert memory.ratio < 0.75


def test_a_step_is_one_of_training(tiny: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device tuned, images moved, averages following, losses watched, late in a run."""
    tiny["training"] |= {"ema_decay": 0.5, "accumulate": 2, "discriminator_warmup": 3}
    tiny["losses"] = {"identity_every": 2}
    settings = from_table(tiny, "test")
    done: list[object] = []
    tuned = lambda device, **how: done.append(how["plain"])  # noqa: E731
    monkeypatch.setattr(assemble, "tune", tuned)
    monkeypatch.setattr(Batch, "to", lambda batch, device: done.append("moved") or batch)
    monkeypatch.setattr(LossWatch, "note", lambda _, made, number: done.append((number, made)))
    follow = Averages.follow
    monkeypatch.setattr(Averages, "follow", lambda *args: done.append("averaged") or follow(*args))
    for given in (settings, train.as_classic(settings)):
        step = train.step_of(given, Execution(), torch.device("cpu"))
        done.clear()
        step()
        step()
        plain, *first, (third, made) = done[:5]
        assert (plain, first, third) == (given is not settings, ["moved", "moved", "averaged"], 3)
        assert {"cycle_a_to_b", "discriminator_a"} <= made.losses.keys()
        assert "identity_a_to_b" not in made.losses, "it has no turn in the third step"
        fourth, made = done[9]
        assert fourth == 4
        assert "identity_a_to_b" in made.losses


def test_wrong_pairs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--pairs many"):
        run(["benchmark", "train", "--pairs", "many"])


def test_both_ways_are_run_in_turn() -> None:
    done: list[str] = []
    pairs = measure(lambda: done.append("plain"), lambda: done.append("chosen"), 3)
    assert done == ["plain", "chosen"] * 4
    assert pairs.ratio.min <= pairs.ratio.median <= pairs.ratio.max


def test_a_turn_may_settle_first() -> None:
    done: list[str] = []
    measure(lambda: done.append("plain"), lambda: done.append("chosen"), 1, settle=True)
    assert done == ["plain", "chosen", "plain", "plain", "chosen", "chosen"]
