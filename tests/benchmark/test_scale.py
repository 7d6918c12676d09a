"""Predictions for many devices, from steps of one."""

import json

import pytest

from cyclegan import cli
from cyclegan.benchmark.scale import Bucket, Link, StepTime, predicted
from cyclegan.errors import UsageError

LINK = Link(bandwidth=1e9, latency=1e-5)


def test_a_ring_sends_each_part_twice_to_all_others() -> None:
    assert LINK.all_reduce(8_000_000, 1) == 0
    assert LINK.all_reduce(8_000_000, 2) == pytest.approx(2 * (1e-5 + 4e-3))
    # However many there are, a device sends no more than twice the whole.
    assert LINK.all_reduce(8_000_000, 1000) == pytest.approx(2 * 999 * (1e-5 + 8e-6))


def test_what_is_summed_meanwhile_costs_nothing() -> None:
    """8 MB take 8 ms between two."""
    link = Link(bandwidth=1e9, latency=0)
    early, late, last = Bucket(0.02, 8_000_000), Bucket(0.004, 8_000_000), Bucket(0.0, 8_000_000)
    assert link.exposed([early], 2) == 0
    assert link.exposed([late], 2) == pytest.approx(0.004)
    assert link.exposed([early, late], 2) == pytest.approx(0.004), "it waits for nothing"
    assert link.exposed([late, last], 2) == pytest.approx(0.012), "the wire is busy until then"
    assert link.exposed([early, late, last], 1) == 0


def test_devices_share_a_batch_and_the_largest_share_decides() -> None:
    phases = ((Bucket(0.0, 1_000_000),), (Bucket(0.0, 1_000_000),))
    alone = {1: StepTime(0.1, phases), 2: StepTime(0.2, phases), 4: StepTime(0.4, phases)}
    whole = predicted(alone, 4, 1, LINK)
    assert (whole.seconds, whole.speed, whole.efficiency) == pytest.approx((0.4, 10, 1))
    three = predicted(alone, 4, 3, LINK)
    summed = 2 * LINK.all_reduce(1_000_000, 3)
    assert three.seconds == pytest.approx(0.2 + summed)
    assert three.efficiency == pytest.approx(0.4 / (0.2 + summed) / 3)


def test_a_batch_grown_with_the_devices_costs_the_sum_only() -> None:
    plan = predicted({4: StepTime(0.4, ((Bucket(0.0, 1_000_000),),))}, 4 * 64, 64, LINK)
    assert plan.seconds == pytest.approx(0.4 + LINK.all_reduce(1_000_000, 64))
    assert plan.speed == pytest.approx(256 / plan.seconds)


TINY = (
    *("--crop_size", "24", "--load_size", "24", "--ngf", "2", "--ndf", "2", "--n_blocks", "1"),
    *("--batch_size", "2", "--precision", "fp32", "--compile", "off", "--device", "cpu"),
)


def test_the_command_measures_and_predicts(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--devices", "1,2,8", "--seconds", "0.1", "--json"]
    assert cli.run(["benchmark", "scale", *TINY, *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [plan["devices"] for plan in found["fixed"]] == [1, 2]  # two images for at most two
    assert [(plan["devices"], plan["batch"]) for plan in found["grown"]] == [
        (1, 2),
        (2, 4),
        (8, 16),
    ]
    assert set(found["alone"]) == {"1", "2"}


def test_costs_and_shards_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--devices", "4", "--seconds", "0.1", "--price", "2.5", "--seconds_per_picture", "0.1"]
    assert cli.run(["benchmark", "scale", *TINY, *asked]) == 0
    told = capsys.readouterr().out
    assert "costs" in told
    assert "10,000,000 pictures in 4 shards: 2 days 21 h, 694" in told


def test_a_number_of_devices_is_at_least_one() -> None:
    with pytest.raises(UsageError, match="devices"):
        cli.run(["benchmark", "scale", *TINY, "--devices", "0"])
