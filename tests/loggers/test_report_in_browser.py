"""The report in a real browser, from a file."""

import shutil
from pathlib import Path
from typing import Any

from browser import opened, picture_of, strangers

from cyclegan import assemble
from cyclegan.settings import Settings

BARS = "document.querySelectorAll('.compare .bar')"


def pixels(page: Any, selector: str) -> bytes:
    shot: bytes = page.locator(selector).first.screenshot()
    return shot


def test_the_report_works_without_a_server(tiny_settings: Settings, tmp_path: Path) -> None:
    assemble.train(tiny_settings)
    alone = tmp_path / "elsewhere" / "report.html"
    alone.parent.mkdir()
    shutil.copy(tiny_settings.run.folder / "report.html", alone)
    with opened(alone.as_uri(), height=900) as page:
        page.wait_for_selector("#chart0 .scatterlayer .trace")
        assert page.locator(".chart .main-svg").count() >= 2 * 9
        assert page.locator("#chart0 .scatterlayer .trace").count() == 4, "raw and smoothed"

        latest = page.locator("#caption").text_content(), pixels(page, "#grid")
        page.locator("#time").fill("0")
        earliest = page.locator("#caption").text_content(), pixels(page, "#grid")
        assert (earliest[0], latest[0]) == ("epoch 1, 1 images", "epoch 2, 12 images")
        assert earliest[1] != latest[1], "the grid moves with the slider"

        page.locator(".compare").first.scroll_into_view_if_needed()
        box = page.locator(".compare").first.bounding_box()
        places = []
        for share in (0.2, 0.8):
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * share, box["y"] + 50, steps=5)
            page.mouse.up()
            places.append(
                (page.evaluate(f"{BARS}[0].offsetLeft") / box["width"], pixels(page, ".compare"))
            )
        assert 0.15 < places[0][0] < 0.25
        assert 0.75 < places[1][0] < 0.85
        assert places[0][1] != places[1][1], "another part of the input is seen"
        assert "nothing wrong so far" in page.locator("#health").text_content().lower()
        picture_of(page, "report.png")
        assert page.complaints == []
        assert strangers(page) == []
