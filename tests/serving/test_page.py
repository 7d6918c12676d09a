"""The page in a real browser: a picture goes in, is compared, and is downloaded."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import opened, strangers
from conftest import smooth_image
from PIL import Image
from serving.asking import PICTURE, Server, encoded

from cyclegan.cli import run

CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture
def page(server: Server) -> Iterator[Any]:
    with opened(f"{server.url}/", height=900, flags=CAMERA) as shown:
        shown.wait_for_selector("#ways label")
        yield shown
        assert strangers(shown) == []


def choose(page: Any, name: str, content: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": content})
    page.wait_for_selector("#before:visible")


def convert(page: Any) -> None:
    page.click("#convert")
    page.wait_for_selector("#download:visible")


def downloaded(page: Any) -> tuple[str, bytes]:
    """Name and content of what the link gives."""
    with page.expect_download() as coming:
        page.click("#download")
    return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()


@pytest.mark.parametrize("name", ["holiday.png", "holiday.jpg"])
def test_the_download_is_the_file_that_convert_makes(
    name: str, page: Any, runs: Path, tmp_path: Path
) -> None:
    smooth_image(7, (90, 60)).save(tmp_path / name)
    page.set_input_files("#file", tmp_path / name)
    page.select_option("#model", "other")
    page.check("text=paintings → photos")
    convert(page)
    where = ["--checkpoints_dir", str(runs), "--name", "other", "--direction", "BtoA"]
    paths = ["--input", str(tmp_path / name), "--output", str(tmp_path / "out")]
    assert run(["convert", *where, *paths, "--precision", "fp32"]) == 0
    made = (tmp_path / "out" / name).read_bytes()
    assert downloaded(page) == (f"holiday-other{Path(name).suffix}", made)
    assert "90 × 60" in page.inner_text("#facts")
    assert page.complaints == []


def test_before_and_after_lie_on_each_other_and_the_line_moves(page: Any) -> None:
    choose(page, "a.png", encoded(smooth_image(8, (200, 120))))
    convert(page)
    before, after = (page.locator(name).bounding_box() for name in ("#before", "#after"))
    assert before == after
    assert before["width"] / before["height"] == pytest.approx(200 / 120, rel=0.01)
    shots = []
    for share in (0.2, 0.8):
        page.mouse.move(before["x"] + before["width"] / 2, before["y"] + 40)
        page.mouse.down()
        page.mouse.move(before["x"] + before["width"] * share, before["y"] + 40, steps=5)
        page.mouse.up()
        line = page.locator("#handle").bounding_box()
        place = (line["x"] + line["width"] / 2 - before["x"]) / before["width"]
        assert place == pytest.approx(share, abs=0.02)
        shots.append(page.locator("#compare").screenshot())
    assert shots[0] != shots[1]
    at = float(page.input_value("#slide"))
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert float(page.input_value("#slide")) < at
    assert page.get_attribute("#slide", "aria-valuetext").endswith("% before")
    page.keyboard.press("Home")
    assert page.locator("#handle").bounding_box()["x"] == pytest.approx(before["x"], abs=2)


def test_by_keyboard_alone(page: Any) -> None:
    """From the picture on, as the file chooser is the system's own."""
    choose(page, "a.png", PICTURE)
    page.keyboard.press("Enter")
    page.wait_for_selector("#download:visible")
    assert page.evaluate("document.activeElement.id") == "slide"
    page.focus("#strength")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#convert") == "Convert again"
    page.focus("#convert")
    page.keyboard.press("Enter")
    page.locator("#convert").wait_for(state="hidden")
    page.focus("#another")
    page.keyboard.press("Enter")
    page.wait_for_selector("#empty:visible")
    assert page.evaluate("document.activeElement.id") == "file"
    assert page.complaints == []


DROP = """([name, content]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name));
  const event = KIND === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.querySelector(WHERE).dispatchEvent(event);
}"""


def drop(page: Any, name: str, content: bytes, way: str = "drop", where: str = "body") -> None:
    script = DROP.replace("KIND", repr(way)).replace("WHERE", repr(where))
    page.evaluate(script, [name, base64.b64encode(content).decode()])


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_pictures_that_are_dropped_or_pasted_are_converted(way: str, page: Any) -> None:
    drop(page, "image.png", PICTURE, way)
    page.wait_for_selector("#download:visible")
    assert downloaded(page)[0] == "image-mine.png"
    assert page.complaints == []


def test_a_fusion_run_takes_a_style(page: Any) -> None:
    assert page.locator("#styled").is_hidden()
    page.select_option("#model", "styled")
    assert page.locator("#direction").is_hidden()
    drop(page, "a.png", PICTURE)
    page.wait_for_selector("#before:visible")
    assert page.locator("#convert").is_disabled()
    drop(page, "painting.png", encoded(smooth_image(30, (60, 50))), where="#styled label")
    page.wait_for_selector("#download:visible")
    assert page.locator("#painting").is_visible()
    first = downloaded(page)
    assert first[0] == "a-styled.png"
    other = {"name": "b.png", "mimeType": "", "buffer": encoded(smooth_image(31, (60, 50)))}
    page.set_input_files("#style", other)
    page.wait_for_selector("#convert:visible")
    page.click("#convert")
    page.locator("#convert").wait_for(state="hidden")
    assert downloaded(page)[1] != first[1]
    page.select_option("#model", "mine")
    page.click("#convert")
    page.locator("#convert").wait_for(state="hidden")
    assert downloaded(page)[0] == "a-mine.png", "no style is sent where none is taken"
    assert page.complaints == []


def test_a_video_is_told_the_command(page: Any) -> None:
    assert "cyclegan convert" in page.inner_text("#empty")
    drop(page, "clip.MP4", b"")
    line = "cyclegan convert --name mine --input clip.MP4 --output styled.mp4"
    assert said(page) == f"clip.MP4 is a video, which the command converts: {line}"


def test_the_camera(page: Any) -> None:
    page.click("#start")
    page.click("#take")
    page.wait_for_selector("#before:visible")
    assert page.locator("#camera").is_hidden()
    assert page.evaluate("stream") is None, "it is let go"
    page.select_option("#size", "128")
    convert(page)
    assert downloaded(page)[0] == "camera-mine.png"
    page.click("#another")
    page.click("#start")
    page.wait_for_selector("#video:visible")
    page.keyboard.press("Escape")
    page.wait_for_selector("#empty:visible")


def test_kinds_that_browsers_do_not_show(page: Any, tmp_path: Path) -> None:
    """A TIFF is seen as the server reads it, and comes back as a TIFF."""
    deep = (np.asarray(smooth_image(9, mode="L")).astype(np.uint16)) * 257
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    choose(page, "deep.tif", (tmp_path / "deep.tif").read_bytes())
    assert page.evaluate("document.getElementById('before').naturalWidth") == 40
    convert(page)
    name, content = downloaded(page)
    assert (name, content[:2]) == ("deep-mine.tif", b"II")
    assert page.evaluate("document.getElementById('after').naturalWidth") == 40
    assert page.complaints == []


def said(page: Any) -> str:
    page.wait_for_selector("#error:visible")
    line: str = page.inner_text("#error")
    assert "\n" not in line
    return line


def test_mistakes_are_told_in_a_line(page: Any) -> None:
    choices = {
        "notes.txt": (b"hello", "notes.txt is not an image in a supported format"),
        "large.png": (PICTURE + bytes(1_100_000), "large.png has 1.1 MB; up to 1 MB are allowed"),
        "broken.png": (b"hello", "broken.png: not an image in a supported format"),
        "cut.tif": (encoded(smooth_image(1), "TIFF")[:900], "cut.tif: "),
    }
    for name, (content, words) in choices.items():
        page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": content})
        page.wait_for_selector(f"#error:has-text('{words}')")
        assert said(page).startswith(words)
        assert page.locator("#empty").is_visible()
    choose(page, "wide.png", encoded(Image.new("L", (1200, 1000))))
    assert page.locator("#error").is_hidden()
    page.click("#convert")
    assert said(page).startswith("It has 1.2 megapixels, 1 are allowed here")
    assert page.locator("#convert").is_enabled()


def test_waiting_is_told_and_can_be_left(page: Any, server: Server) -> None:
    choose(page, "a.png", PICTURE)
    with server.paused() as worker, server.sent("before"):
        page.click("#convert")
        page.wait_for_selector("text=Waiting: 1 picture before yours")
        assert page.locator("#convert").is_disabled()
        other = page.context.browser.new_page()
        other.goto(f"{server.url}/")
        choose(other, "a.png", PICTURE)
        other.click("#convert")
        assert said(other) == "The queue is full: try again later"
        page.click("#cancel")
        page.locator("#wait").wait_for(state="hidden")
        assert page.locator("#error").is_hidden()
        worker.resume()
    convert(page)


def test_a_server_that_is_gone_is_told(runs: Path, tmp_path: Path) -> None:
    from serving.asking import served

    with served(runs, tmp_path) as server, opened(f"{server.url}/") as page:
        choose(page, "a.png", PICTURE)
        server.process.terminate()
        server.process.wait(20)
        page.click("#convert")
        assert said(page) == "The server does not answer: is it still running?"


def test_nothing_sticks_out(page: Any) -> None:
    choose(page, "a.png", encoded(smooth_image(3, (300, 900))))
    convert(page)
    for width in (320, 390, 900, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator("#compare").bounding_box()
        assert box["height"] <= 800
        assert box["width"] / box["height"] == pytest.approx(1 / 3, rel=0.02)
