"""Loading's figures are complete."""

import json

import pytest

from cyclegan.cli import run


def test_json_holds_both_epochs(tiny_flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["benchmark", "load", *tiny_flags, "--pairs", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 10
    assert set(told["time"]) == set(told["cached"]) == {"plain", "chosen", "ratio"}


def test_people_read_how_many_times_more(
    tiny_flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["benchmark", "load", *tiny_flags, "--pairs", "1", "--cache", "off"]) == 0
    shown = capsys.readouterr().out
    assert "--cache off, 10 images" in shown
    assert "later epochs: " in shown
