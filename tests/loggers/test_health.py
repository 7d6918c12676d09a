"""Health: every rule speaks when it must, and is silent when it must be."""

import math
from collections.abc import Sequence

import pytest

from cyclegan.loggers.health import (
    LONG,
    RULES,
    Recent,
    complaints,
    health_panel,
    progress_panel,
    quality_falls,
    verdict,
)
from cyclegan.loggers.logger import Record, RunInfo
from cyclegan.run import Position

HEALTHY = {
    "discriminator_a": 0.15,
    "discriminator_b": 0.2,
    "cycle_a_to_b": 1.0,
    "diversity_a_to_b": 0.9,
    "light_agreement_a_to_b": 0.8,
    "waiting_for_images": 0.05,
    "images_per_second": 2.0,
}


def recent(
    count: int = LONG, guessing: float | None = 0.25, planned: int = LONG, **values: float
) -> Recent:
    records = [
        Record(Position(1, images, images), HEALTHY | values) for images in range(1, count + 1)
    ]
    return Recent(guessing, records, planned)


def said(**values: float) -> list[str]:
    return complaints(recent(**values))


def test_a_healthy_run() -> None:
    assert said() == []
    assert verdict(recent()) == f"Nothing wrong in the last {LONG} records."
    assert verdict(recent(count=10)) == "Nothing wrong so far."
    assert verdict(recent(count=1)) == "Too early to tell."


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"discriminator_b": 0.02},
            ["discriminator B", "winning for a long time", "0.020", "--ndf"],
        ),
        ({"discriminator_a": 0.3}, ["discriminator A", "losing for a long time", "0.300", "--lr"]),
        ({"diversity_a_to_b": 0.03}, ["A→B", "nearly the same picture", "3%", "--lambda_A"]),
        ({"light_agreement_a_to_b": -0.6}, ["A→B", "inverted", "-0.60", "--lambda_identity"]),
        ({"waiting_for_images": 0.45}, ["waits for images", "45%", "--num_threads"]),
        ({"cycle_a_to_b": math.nan}, ["cycle A→B: NaN or infinite after 50 images", "--lr"]),
        ({"cycle_a_to_b": math.inf}, ["NaN or infinite"]),
    ],
)
def test_what_is_wrong_is_said_with_a_way_out(
    values: dict[str, float], words: Sequence[str]
) -> None:
    (text,) = said(**values)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    "values",
    [
        {"discriminator_b": 0.03},
        {"discriminator_b": 0.26},
        {"diversity_a_to_b": 0.11},
        {"light_agreement_a_to_b": -0.29},
        {"waiting_for_images": 0.3},
    ],
)
def test_what_is_nearly_wrong_is_not_said(values: dict[str, float]) -> None:
    assert said(**values) == []


@pytest.mark.parametrize("value", [0.01, 0.9])
def test_a_discriminator_must_win_or_lose_for_long(value: float) -> None:
    assert complaints(recent(count=LONG - 1, discriminator_a=value)) == []
    assert len(complaints(recent(count=LONG, discriminator_a=value))) == 1


def test_a_loss_without_a_level_of_guessing_says_nothing_of_winning() -> None:
    assert complaints(recent(guessing=None, discriminator_a=-40.0)) == []


def test_one_bad_picture_is_no_collapse() -> None:
    records = recent(diversity_a_to_b=0.9)
    records.add(Record(Position(1, 60, 60), {"diversity_a_to_b": 0.01}))
    assert complaints(records) == []
    records.add(Record(Position(1, 61, 61), {"diversity_a_to_b": 0.01}))
    assert len(complaints(records)) == 1


def test_what_is_long_over_is_forgotten() -> None:
    records = recent(discriminator_b=0.01)
    for images in range(LONG):
        records.add(Record(Position(1, 60 + images, 60 + images), HEALTHY))
    assert complaints(records) == []


def test_every_rule_has_been_heard() -> None:
    everything = recent(
        discriminator_a=0.01, discriminator_b=0.9, diversity_a_to_b=0.0,
        light_agreement_a_to_b=-1.0, waiting_for_images=1.0, cycle_a_to_b=math.nan,
        quality=0.1, quality_best=0.3, quality_error=0.01,
        progress_a_to_b=-0.3, progress_error_a_to_b=0.1,
        progress_b_to_a=0.01, progress_error_b_to_a=0.1, ssim_b_to_a=0.97, rollbacks=1.0,
    )  # fmt: skip
    assert all(list(rule(everything)) for rule in RULES)
    assert "NaN" in complaints(everything)[0], "what is worst comes first"
    assert health_panel(everything).count("<p") == len(RULES)


def test_progress_in_words(tmp_path: object) -> None:
    from pathlib import Path

    run_info = RunInfo("run", Path(str(tmp_path)), Position(), 4, 1000)
    shown = progress_panel(run_info, Position(2, 0, 1000), 3661.0, 0.5)
    for words in ("2 of 4", "1,000 of 4,000 (25%)", "1 h 1 min", "1 h 40 min", "0.50 images/s"):
        assert words in shown
    assert "not known yet" in progress_panel(run_info, Position(), 0.0, 0.0)


def test_pictures_that_were_better_before() -> None:
    measured = {"quality": 0.2, "quality_best": 0.3}
    assert not list(quality_falls(recent(**measured, quality_error=0.04)))
    (text,) = quality_falls(recent(**measured, quality_error=0.03))
    assert "progress 0.20 now, 0.30 at best" in text
    assert not list(quality_falls(recent(cycle_a_to_b=1.0)))


def measured(progress: float, error: float, ssim: float = 0.5) -> dict[str, float]:
    way = {"progress": progress, "progress_error": error, "ssim": ssim}
    return {"quality": 0.0} | {f"{name}_b_to_a": value for name, value in way.items()}


def test_worse_than_doing_nothing_is_said_late_and_where_it_is_sure() -> None:
    (text,) = said(**measured(-0.3, 0.1))
    assert text.startswith("B→A: the conversions are worse than the unconverted input")
    assert "progress -0.30 ± 0.10" in text
    assert said(**measured(-0.3, 0.2)) == [], "noise"
    assert complaints(recent(planned=2 * LONG + 1, **measured(-0.3, 0.1))) == [], "early"
    one = recent(planned=LONG)
    one.add(Record(Position(1, 51, 51), HEALTHY | measured(-0.3, 0.1)))
    assert complaints(one) == [], "once"


def test_doing_nothing_is_said_late_and_where_it_is_sure() -> None:
    (text,) = said(**measured(0.02, 0.05, ssim=0.97))
    assert text.startswith("B→A: the generator changes almost nothing")
    assert "SSIM to the input 0.97, progress 0.02 ± 0.05" in text
    assert said(**measured(0.02, 0.2, ssim=0.97)) == [], "noise"
    assert said(**measured(0.5, 0.05, ssim=0.97)) == [], "little changed and all of it right"
    assert said(**measured(0.02, 0.05, ssim=0.8)) == [], "something is done"
    assert complaints(recent(planned=2 * LONG + 1, **measured(0.02, 0.05, ssim=0.97))) == []


def test_measurements_that_are_rare_are_remembered() -> None:
    rare = recent(count=0, planned=3 * LONG)
    for images in range(3 * LONG):
        now = measured(-0.3, 0.05) if images in (1, 10) else {}
        rare.add(Record(Position(1, images, images), HEALTHY | now))
    assert len(complaints(rare)) == 1
