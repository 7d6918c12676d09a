"""A real training on a real server, in a real browser."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

from browser import opened, picture_of, strangers
from dashboard.serving import ask, dashboard, start
from visdom_server import eventually, free_port

POINTS = """() => Object.fromEntries([...document.querySelectorAll('.js-plotly-plot')].map(
    plot => [plot.layout.title.text, plot.data.map(trace => trace.x.length)]))"""
WINDOWS = """() => [...document.querySelectorAll('.react-grid-item')].map(item => {
    const box = item.getBoundingClientRect();
    const title = [...item.querySelectorAll('.pull-right')].pop().textContent;
    return {title: title, left: box.left, top: box.top, right: box.right, bottom: box.bottom};
})"""
SHADES = """image => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return new Set(context.getImageData(0, 0, canvas.width, canvas.height).data).size;
}"""
GRID = ".react-grid-item:has-text('held-out images') img"
ORDER = [
    *("health", "progress of tiny", "held-out images over training", "current batch", "settings"),
    *("adversarial A→B", "adversarial B→A", "cycle consistency", "identity", "learning rate"),
    *("images per second", "waiting for images", "memory", "light kept", "diversity"),
]


def environments(port: int) -> list[str]:
    names: list[str] = json.loads(ask(f"http://localhost:{port}/env_state", {})[1])
    return names


def comes_true(page: Any, words: str) -> None:
    """Wait for it from outside: the page's policy lets nothing in it evaluate words."""
    assert eventually(lambda: bool(page.evaluate(words)), seconds=120)


def slid_to(page: Any, caption: str) -> bool:
    """Whether the slider's start shows the caption: a picture that comes in moves it to the end."""
    page.locator("input[type=range]").fill("0")
    return bool(page.locator("p.caption", has_text=caption).is_visible())


def overlapping(windows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (one["title"], other["title"])
        for one, other in combinations(windows, 2)
        if one["left"] < other["right"] and other["left"] < one["right"]
        and one["top"] < other["bottom"] and other["top"] < one["bottom"]
    ]  # fmt: skip


def test_a_training_is_watched(tiny_flags: list[str], assets: Path, tmp_path: Path) -> None:
    port = free_port()
    flags = [flag for flag in tiny_flags if flag != "--no_visdom"]
    flags += ["--n_epochs", "400", "--display_freq", "12", "--display_port", str(port)]
    flags += ["--print_freq", "12"]  # nobody reads what it prints: a full pipe would stop it
    with dashboard(tmp_path, port, "--assets", str(assets)), start("train", *flags) as training:
        assert eventually(lambda: "tiny" in environments(port), seconds=60)
        with opened(f"http://localhost:{port}/env/tiny") as page:
            page.wait_for_selector(GRID)
            comes_true(page, "document.querySelectorAll('.js-plotly-plot').length >= 10")
            comes_true(page, "document.querySelector('input[type=range]')?.max >= 1")
            first = page.evaluate(POINTS), page.locator(GRID).get_attribute("src")
            slider = int(page.locator("input[type=range]").get_attribute("max"))
            comes_true(page, f"document.querySelector('input[type=range]')?.max > {slider}")
            comes_true(page, f"({POINTS})()['identity'][0] > {first[0]['identity'][0]}")
            second = page.evaluate(POINTS), page.locator(GRID).get_attribute("src")

            assert all(
                later > earlier
                for title in ("adversarial A→B", "adversarial B→A", "cycle consistency", "identity")
                for earlier, later in zip(first[0][title], second[0][title], strict=True)
            ), "every trace grows between two looks"
            assert first[1] != second[1], "the grid changes"
            assert page.locator(GRID).evaluate(SHADES) > 50, "and is not blank"

            page.wait_for_selector("text=Nothing wrong")
            page.wait_for_selector("text=data.crop_size")
            page.wait_for_selector("text=time left")

            assert eventually(lambda: slid_to(page, "epoch 1, 1 images"), seconds=60)

            windows = page.evaluate(WINDOWS)
            assert overlapping(windows) == []
            rows = sorted(windows, key=lambda window: (window["top"] // 20, window["left"]))
            for window, title in zip(rows, ORDER, strict=True):
                assert window["title"].startswith(title)

            picture_of(page, "dashboard.png")
            assert page.complaints == []
            assert strangers(page) == []
        training.terminate()
        out, err = training.communicate(timeout=60)
    assert "Traceback" not in out + err
