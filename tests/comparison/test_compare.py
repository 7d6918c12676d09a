"""The page of some runs, and voting on it in a real browser."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import opened
from conftest import smooth_image

from cyclegan import assemble
from cyclegan.cli import run
from cyclegan.errors import UsageError, UserError
from cyclegan.settings import Settings


@pytest.fixture
def two(tiny_settings: Settings, dataroot: Path) -> list[str]:
    (dataroot / "testB").mkdir()
    for folder in ("testA", "testB"):
        for number in range(5):
            smooth_image(number + 50).save(dataroot / folder / f"{number}.png")
    for seed, name in enumerate(("one", "other")):
        assemble.train(replace(tiny_settings, run=replace(tiny_settings.run, name=name, seed=seed)))
    return ["one", "other", "--checkpoints_dir", str(tiny_settings.run.checkpoints_dir)]


def test_a_page_by_itself_with_figures(
    two: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    page = tmp_path / "page.html"
    assert run(["compare", *two, "--output", str(page), "--images", "4"]) == 0
    text = page.read_text()
    assert text.count("<img src=") == 12
    assert "KID of the unconverted" in text
    assert "KID ↓" in text
    assert "kept: SSIM of luminance ↑" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    with pytest.raises(UserError, match="already exists"):
        run(["compare", *two, "--output", str(page)])


def test_votes_are_counted_for_the_right_run(two: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run(["compare", *two, "--output", str(page), "--images", "5", "--no_figures"]) == 0
    with opened(page.as_uri()) as shown:
        first = shown.eval_on_selector_all("#all .row:not(.head)", _OUTPUTS)
        shown.click("#start")
        for _ in range(len(first)):
            left = shown.get_attribute("#left", "src")
            shown.keyboard.press("ArrowLeft" if left in first else "ArrowRight")
        told = shown.inner_text("#result")
        assert told.startswith("one 5, other 0, neither 0: 100 % for one (95 % interval 57 to 100")
        assert told.endswith("one is liked better.")
        shown.keyboard.press("Backspace")
        shown.keyboard.press("ArrowDown")
        assert "one 4, other 0, neither 1" in shown.inner_text("#result")
        assert shown.complaints == []


def test_votes_outlive_a_reload_and_the_end_says_whose_was_whose(
    two: list[str], tmp_path: Path
) -> None:
    """Of pages that share a store, as all that are files do."""
    page, other = tmp_path / "page.html", tmp_path / "other.html"
    for path, count in ((page, "3"), (other, "4")):
        made = ["--output", str(path), "--images", count, "--no_figures"]
        assert run(["compare", *two, *made]) == 0
    with opened(page.as_uri(), height=900) as shown:
        # So that the sides of every second pair are changed, whatever chance would say.
        shown.add_init_script("let calls = 0; Math.random = () => 0.9 * (calls++ % 2)")
        shown.reload()
        first = shown.eval_on_selector_all("#all .row:not(.head)", _OUTPUTS)
        shown.click("#start")
        shown.keyboard.press("ArrowLeft")
        pair = [shown.get_attribute(side, "src") for side in ("#left", "#right")]
        shown.reload()
        assert shown.inner_text("#count") == "2 of 3"
        assert [shown.get_attribute(side, "src") for side in ("#left", "#right")] == pair
        shown.goto(other.as_uri())
        assert shown.locator("#vote").is_hidden(), "another page has votes of its own"
        shown.goto(page.as_uri())
        shown.keyboard.press("ArrowRight")
        shown.keyboard.press("ArrowDown")
        for _ in range(2):
            ends = shown.eval_on_selector_all("#shown .row", _DISCLOSED)
            assert [[told.split()[0] for told, _ in row] for row in ends] == [
                ["one" if source in first else "other" for _, source in row] for row in ends
            ]
            assert [source for _, source in ends[1]] == pair, "on the sides where they were"
            assert {row[0][0].split()[0] for row in ends} == {"one", "other"}
            liked = [["✓" in told for told, _ in row] for row in ends]
            assert liked == [[True, False], [False, True], [False, False]]
            assert "neither 1" in shown.inner_text("#result")
            shown.reload()
        shown.on("dialog", lambda asked: asked.accept())
        shown.click("#again")
        assert shown.inner_text("#count") == "1 of 3"
        assert shown.complaints == []


def test_votes_outlive_a_reload_where_nothing_can_be_stored(two: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run(["compare", *two, "--output", str(page), "--images", "3", "--no_figures"]) == 0
    with opened(page.as_uri()) as shown:
        shown.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new Error('full'); } })"
        )
        shown.reload()
        shown.click("#start")
        shown.keyboard.press("ArrowLeft")
        shown.reload()
        assert shown.inner_text("#count") == "2 of 3"
        assert shown.complaints == []


#: Of each row at the end what stands below the left and the right picture, and the picture.
_DISCLOSED = """rows => rows.map(row => [...row.querySelectorAll('figure')].filter((_, i) => i != 1)
  .map(one => [one.querySelector('figcaption').textContent, one.querySelector('img').src]))"""


def test_any_number_of_runs(two: list[str], tmp_path: Path) -> None:
    """Of three, the second is always liked best: each of its two pairs says so, and no other."""
    page = tmp_path / "page.html"
    third = str(tmp_path / "checkpoints" / "one" / "epoch_1.pt")
    args = ["compare", third, *two, "--output", str(page), "--images", "6", "--no_figures"]
    assert run(args) == 0
    with opened(page.as_uri()) as shown:
        rows = shown.eval_on_selector_all("#all .row:not(.head)", _ALL)
        assert [len(row) for row in rows] == [4] * 5
        tops = {round(box["y"]) for box in map(_box, shown.locator(".row.head span").all())}
        assert len(tops) == 1, "a column for each run"
        liked = {row[2] for row in rows}
        shown.click("#start")
        pairs = []
        for _ in rows:
            sides = [shown.get_attribute(side, "src") for side in ("#left", "#right")]
            pairs.append({n for row in rows for n in (1, 2, 3) if row[n] in sides})
            key = [k for k, src in zip(("Left", "Right"), sides, strict=True) if src in liked]
            shown.keyboard.press(f"Arrow{key[0] if key else 'Down'}")
        assert len({frozenset(pair) for pair in pairs}) == 3, "all pairs are shown"
        lines = shown.inner_text("#result").splitlines()
        assert len(lines) == 3
        told = [re.search(r": (0|100) % for \S+/(\S+)", line) for line in lines]
        assert {found.groups() for found in told if found} == {
            ("0", "epoch_1.pt"), ("100", "latest.pt")}  # fmt: skip
        assert sum("no preference" in line for line in lines) == 1
        assert shown.complaints == []


def _box(element: Any) -> dict[str, float]:
    box: dict[str, float] = element.bounding_box()
    return box


def test_one_run_is_not_enough(tmp_path: Path) -> None:
    for runs, given in ((["a"], "only a"), ([], "none")):
        with pytest.raises(UsageError, match=f"needs at least two runs, got {given}"):
            run(["compare", *runs, "--checkpoints_dir", str(tmp_path)])


#: The outputs of the first run.
_OUTPUTS = "rows => rows.map(row => row.querySelectorAll('img')[1].src)"


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run"):
        run(["compare", "a", "b", "--checkpoints_dir", str(tmp_path)])


#: Input and outputs of each image.
_ALL = "rows => rows.map(row => [...row.querySelectorAll('img')].map(image => image.src))"
