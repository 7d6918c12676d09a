"""The page of --format web in Chromium: one browser, in which every test opens it anew."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import opened, strangers
from conftest import smooth_image
from export.web_pages import READY, Web, choose, made, on_white, served
from images.test_profiles import wide
from PIL import Image, ImageCms


@pytest.fixture(scope="module")
def chromium(exported_page: Web) -> Iterator[tuple[str, Any]]:
    """The address of the gray generator's page, and the browser that many tests share."""
    with served(exported_page("gray")) as url, opened(url, height=900) as page:
        yield url, page


@pytest.fixture
def page(chromium: tuple[str, Any]) -> Iterator[Any]:
    """The gray generator's page, opened anew."""
    url, shared = chromium
    shared.unroute_all()
    shared.complaints.clear()
    shared.goto(url)
    shared.wait_for_selector(READY)
    yield shared
    assert strangers(shared) == []


def test_colours_by_a_profile(page: Any, tmp_path: Path) -> None:
    """Pictures of other colours than the screen's are seen as on it, by the browser's own means."""
    adobe = smooth_image(6, (24, 20))
    adobe.save(tmp_path / "adobe.png", icc_profile=wide())
    given, screen = ImageCms.ImageCmsProfile(io.BytesIO(wide())), ImageCms.createProfile("sRGB")
    seen = ImageCms.profileToProfile(adobe, given, screen)
    assert seen is not None
    seen.save(tmp_path / "seen.png")
    adobe.save(tmp_path / "untold.png")
    found, expected, untold = (
        on_white(made(page, tmp_path / f"{name}.png")) for name in ("adobe", "seen", "untold")
    )
    assert np.abs(found - expected).mean() < 1
    assert np.abs(untold - expected).mean() > 5


def test_webassembly_where_webgpu_fails(page: Any) -> None:
    page.goto(f"{page.url}?device=webgpu")
    page.wait_for_selector(READY)
    assert page.inner_text("#device") == "On this device, by WebAssembly."


def test_too_large_a_picture_is_one_line(page: Any, tmp_path: Path) -> None:
    """On a device with memory for 2,684 pixels."""
    smooth_image(1, (90, 60)).save(tmp_path / "large.png")
    smooth_image(1, (30, 20)).save(tmp_path / "fits.png")
    page.route(page.url, with_less_memory)
    page.reload()
    page.wait_for_selector(READY)
    choose(page, tmp_path / "large.png")
    page.wait_for_selector("#smaller:visible")
    assert page.inner_text("#words") == (
        "large.png has 90 × 60 pixels, more than the browser has memory for."
    )
    assert page.is_hidden("#download")
    assert page.inner_text("#smaller") == "Convert it at 63 × 42"
    page.keyboard.press("Enter")  # the button has the focus
    page.wait_for_selector("#download:visible")
    assert "63 × 42" in page.inner_text("#facts")
    assert page.is_hidden("#said")
    page.click("#another")
    assert made(page, tmp_path / "fits.png").size == (30, 20)
    assert page.complaints == []


def with_less_memory(route: Any) -> None:
    answer = route.fetch()
    text, count = re.subn(r'"bytesPerPixel": [\d.]+', '"bytesPerPixel": 1e6', answer.text())
    assert count == 1
    route.fulfill(response=answer, body=text)


def test_a_photograph_of_24_megapixels(page: Any, tmp_path: Path) -> None:
    """Refused by the real limit, before anything is computed."""
    Image.new("L", (6000, 4000)).save(tmp_path / "camera.png")
    choose(page, tmp_path / "camera.png")
    page.wait_for_selector("#smaller:visible")
    assert "camera.png has 6000 × 4000 pixels" in page.inner_text("#words")


DROP = """([content, kind]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], "a.png"));
  document.body.dispatchEvent(kind === "drop"
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


def test_dropped_pasted_compared_and_by_keyboard(page: Any, tmp_path: Path) -> None:
    smooth_image(8, (60, 36)).save(tmp_path / "a.png")
    content = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    (tmp_path / "text.png").write_text("no picture")
    page.evaluate(DROP, [content, "drop"])
    page.wait_for_selector("#download:visible")
    assert page.evaluate("document.activeElement.id") == "slide"
    box = page.locator("#before").bounding_box()
    assert box == page.locator("#after").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(60 / 36, rel=0.01)
    for share in (0.2, 0.7):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + 40, steps=4)
        page.mouse.up()
        line = page.locator("#line").bounding_box()
        assert line["x"] + 1 - box["x"] == pytest.approx(share * box["width"], abs=4)
    page.keyboard.press("Home")
    assert page.locator("#line").bounding_box()["x"] == pytest.approx(box["x"], abs=2)
    page.focus("#another")
    page.keyboard.press("Enter")
    page.wait_for_selector("#empty:visible")
    assert page.evaluate("document.activeElement.id") == "file"
    choose(page, tmp_path / "text.png")
    page.wait_for_selector("#said:visible")
    assert page.inner_text("#words").startswith("text.png is no picture that this browser")
    page.evaluate(DROP, [content, "paste"])  # what failed is no hindrance
    page.wait_for_selector("#download:visible")
    assert page.is_hidden("#said")
    assert page.complaints == []


ASK = "url => fetch(url, { mode: 'no-cors' }).then(() => 'sent', () => 'refused')"


def test_nothing_leaves_the_page(page: Any, tmp_path: Path) -> None:
    """Neither the page nor its worker can ask another host for anything."""
    with served(tmp_path) as elsewhere:
        other = f"{elsewhere}stolen"
        assert page.evaluate(ASK, other) == "refused"
        (worker,) = page.workers
        assert worker.evaluate(ASK, other) == "refused"
        assert worker.evaluate(ASK, page.url) == "sent", "it is the policy that refuses"
