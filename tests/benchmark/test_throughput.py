"""What a device reaches is measured part by part, while there is time left."""

import json
from pathlib import Path

import pytest
import torch

from cyclegan.benchmark import throughput
from cyclegan.cli import run
from cyclegan.errors import UsageError, UserError

TINY = ["benchmark", "device", "--device", "cpu", "--tiny"]


def test_figures_join_those_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = tmp_path / "gpu.json"
    into.write_text('{"tests": {"golden": 1}}')
    threads = torch.get_num_threads()
    try:
        assert run([*TINY, "--only", "card,ceilings,steps,", "--into", str(into)]) == 0
    finally:
        torch.set_num_threads(threads)
    found = json.loads(into.read_text())
    assert found["tests"] == {"golden": 1}
    assert list(found["measured"]) == ["card", "ceilings", "steps"]
    assert found["measured"]["ceilings"]["fp32_tera_multiply_adds"] > 0
    ways = found["measured"]["steps"]["batch 1"]
    assert list(ways) == ["classic", "tuned", "chosen"]
    assert ways["classic"]["times_the_classic"] == 1
    assert ways["chosen"]["share_of_a_product"] > 0
    shown = capsys.readouterr().out
    assert f"batch 1, chosen: {ways['chosen']['way']}" in shown
    assert str(ways["tuned"]["pairs_a_second"]) in shown


def test_pictures_are_converted_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TINY, "--only", "convert", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["convert"]["pictures_a_second"] > 0


def test_a_part_that_does_not_fit_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"card": throughput.SECTIONS["card"], "steps": throughput.SECTIONS["steps"]}
    monkeypatch.setattr(throughput, "SECTIONS", parts)
    assert run(["benchmark", "device", "--device", "cpu", "--seconds", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "torch" in found["card"]
    assert found["steps"] == {"left out": "10 s left, needs 90"}


def test_one_that_fails_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(bench: throughput.Bench) -> throughput.Figures:
        raise UserError("this card is on fire")

    parts = {"broken": throughput.Section(fail, 0), "card": throughput.SECTIONS["card"]}
    monkeypatch.setattr(throughput, "SECTIONS", parts)
    assert run([*TINY, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["broken"]["error"] == "UserError: this card is on fire"
    assert "torch" in found["card"]


def test_what_does_not_fit_into_memory_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> throughput.StepVariant:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(throughput, "_warm", full)
    assert run([*TINY, "--only", "steps"]) == 0
    assert capsys.readouterr().out.count("out of memory") == 4


def test_unknown_parts_are_named() -> None:
    with pytest.raises(UsageError, match="--only stairs: no such part; choose from card, ceilings"):
        run([*TINY, "--only", "card,stairs"])
