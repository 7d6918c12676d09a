"""Charts: what is grouped, smoothed and thinned."""

import math

import pytest

from cyclegan.logged import Curve, Logged, catalogue
from cyclegan.loggers.curves import POINTS, Change, Charts
from cyclegan.losses.terms import TERMS
from cyclegan.training.training_logger import LOGGED

LOSSES = (
    *("adversarial_a_to_b", "cycle_a_to_b", "identity_a_to_b"),
    *("adversarial_b_to_a", "cycle_b_to_a", "identity_b_to_a"),
    *("discriminator_b", "discriminator_a"),
)


def test_losses_that_are_read_together_share_a_chart() -> None:
    charts = Charts(LOGGED)
    values = dict.fromkeys((*LOSSES, "luminance_a_to_b", "kid_a_to_b", "learning_rate"), 1.0)
    charts.add(1, values)
    charts.add(2, {"anything": 1.0})
    assert [(key, charts[key].names) for key in charts.in_order()] == [
        ("adversarial_a_to_b", ["adversarial_a_to_b", "discriminator_b"]),
        ("adversarial_b_to_a", ["adversarial_b_to_a", "discriminator_a"]),
        ("cycle", ["cycle_a_to_b", "cycle_b_to_a"]),
        ("identity", ["identity_a_to_b", "identity_b_to_a"]),
        ("luminance", ["luminance_a_to_b"]),
        ("kid", ["kid_a_to_b"]),
        ("learning_rate", ["learning_rate"]),
        ("anything", ["anything"]),
    ]
    assert charts["learning_rate"].rows[0].raw == {"learning_rate": 1e6}


def test_smoothing_starts_at_the_first_value_and_follows_slowly() -> None:
    charts = Charts(LOGGED)
    for images, value in enumerate([4.0] * 10 + [0.0]):
        charts.add(images, {"x": value})
    smooth = [row.smooth["x"] for row in charts["x"].rows]
    assert smooth[:10] == pytest.approx([4.0] * 10)
    # After ten values the newest weighs 0.1 of a total of 1 - 0.9^11.
    assert smooth[10] == pytest.approx(4.0 * (1 - 0.1 / (1 - 0.9**11)))


def test_a_value_that_is_no_number_does_not_spoil_what_follows() -> None:
    charts = Charts(LOGGED)
    for images, value in enumerate([2.0, math.nan, 2.0]):
        charts.add(images, {"x": value})
    assert [row.smooth["x"] for row in charts["x"].rows] == pytest.approx([2.0, 2.0, 2.0])


@pytest.mark.parametrize("names", [("x",), ("x_a_to_b", "x_b_to_a"), ("x", "x_a_to_b", "x_b_to_a")])
@pytest.mark.parametrize("count", [100, 2500, 2501, 100_000])
def test_a_chart_never_grows_beyond_its_points(names: tuple[str, ...], count: int) -> None:
    charts = Charts(LOGGED)
    for images in range(1, count + 1):
        charts.add(images, dict.fromkeys(names, float(images)))
        assert len(charts["x"].rows) * 2 * len(names) <= POINTS
    places = [row.images for row in charts["x"].rows]
    distance = places[1] - places[0]
    assert places == list(range(places[0], places[-1] + 1, distance))
    assert count - places[-1] < distance
    assert len(places) >= min(count, POINTS // (4 * len(names)) - 1)


def test_changes_say_what_a_page_has_to_do() -> None:
    charts = Charts(LOGGED)
    assert charts.add(1, {"x_a_to_b": 1.0}) == {"x": Change.REDRAWN}
    assert charts.add(2, {"x_a_to_b": 1.0}) == {"x": Change.APPENDED}
    assert charts.add(3, {"x_b_to_a": 1.0, "y": 1.0}) == {
        "x": Change.REDRAWN, "y": Change.REDRAWN}  # fmt: skip
    changes = [charts.add(images, {"z": 1.0})["z"] for images in range(1, POINTS // 2 + 4)]
    assert changes[1:-3] == [Change.APPENDED] * (POINTS // 2 - 1)
    assert changes[-3:] == [Change.REDRAWN, Change.NOTHING, Change.APPENDED]


def test_names_as_a_person_reads_them() -> None:
    labels = {name: Curve.of(name, LOGGED).label for name in NAMES}
    assert labels == NAMES
    assert Curve.of("adversarial_a_to_b", LOGGED).short == "adversarial A>B"


NAMES = {
    "cycle_a_to_b": "cycle A→B",
    "adversarial_b_to_a": "generator B→A",
    "discriminator_b": "discriminator B",
    "images_per_second": "images per second",
    "quality_best": "best.pt",
    "luminance_a": "luminance A",
}


def test_a_value_is_shown_as_it_says_of_itself() -> None:
    """Nobody else needs to know its name: not the charts, the console, or the report."""
    known = catalogue(
        Logged("tint", "colour cast", "colour cast, %", scale=100.0, smooth=False, order=0),
        Logged("tint_best", "best", group="tint"),
        Logged("tint_error", drawn=False),
        Logged("edge", by_way=True),
        Logged("edge_judge", group="edge"),
    )
    charts = Charts(known)
    names = ("x", "tint_a_to_b", "tint_best", "tint_error", "edge_a_to_b", "edge_judge_b")
    charts.add(1, dict.fromkeys(names, 0.5))
    shown = {charts[key].title: charts[key] for key in charts.in_order()}
    assert list(shown) == ["colour cast, %", "x", "edge A→B"]
    tint = shown["colour cast, %"]
    assert [trace.label for trace in tint.traces()] == ["colour cast A→B", "best"]
    assert tint.rows[0].raw == {"tint_a_to_b": 50.0, "tint_best": 50.0}
    assert charts["edge_a_to_b"].names == ["edge_a_to_b", "edge_judge_b"]


def test_what_a_training_logs_is_declared_once() -> None:
    """A declaration that nothing is logged by, or that hides another, is a mistake."""
    declared = [term.shown for term in TERMS.values() if term.shown is not None]
    assert {term.shown.name for term in TERMS.values() if term.shown} <= TERMS.keys()
    assert len(LOGGED) == len({*declared, *LOGGED.values()})
    assert {one.group for one in LOGGED.values() if one.group} <= LOGGED.keys()


def test_a_name_that_comes_while_rows_are_left_out_is_not_forgotten() -> None:
    charts = Charts(LOGGED)
    for images in range(POINTS):
        charts.add(images, {"x_a_to_b": 1.0})
    changes = []
    while Change.APPENDED not in changes[-1:]:
        changes.append(charts.add(POINTS, {"x_a_to_b": 1.0})["x"])
    assert charts.add(POINTS, {"x_a_to_b": 1.0, "x_b_to_a": 1.0}) == {"x": Change.NOTHING}
    later = [charts.add(POINTS, {"x_a_to_b": 1.0, "x_b_to_a": 1.0})["x"] for _ in range(4)]
    assert Change.REDRAWN in later
