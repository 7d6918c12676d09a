"""The root address and comparisons of runs, as Chromium shows them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from browser import opened, strangers
from dashboard.conftest import Silence
from dashboard.serving import ask, dashboard, send_text
from visdom_server import free_port

from cyclegan.dashboard.front import overlay
from cyclegan.loggers.curves import Charts
from cyclegan.loggers.logger import RunInfo
from cyclegan.loggers.visdom_page import draw
from cyclegan.run import Position
from cyclegan.training.training_logger import LOGGED

RUNS = ("first run", "second", "third (Ü), of a long name that says how it was trained")
#: Of each chart: title, the name and stroke of each line, and where the boxes of its texts are.
CHARTS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => {
    const box = element => element.getBoundingClientRect().toJSON();
    const lines = [...plot.querySelectorAll('.legend .traces')];
    return {
        title: plot.querySelector('.gtitle').textContent,
        above: box(plot.querySelector('.gtitle')),
        legend: box(plot.querySelector('.legend')),
        drawing: box(plot.querySelector('.cartesianlayer .plot .scatterlayer')),
        whole: box(plot),
        names: lines.map(line => line.querySelector('text').textContent),
        strokes: lines.map(line => line.querySelector('path').style.stroke),
        dashes: lines.map(line => line.querySelector('path').style.strokeDasharray),
    };
})"""


def make_run(checkpoints: Path, name: str, images: int) -> None:
    """What a run has in its folder after so many images of twenty."""
    folder = checkpoints / name.replace(" ", "_")
    folder.mkdir(parents=True)
    settings = {"loggers.display_env": name}
    RunInfo(folder.name, folder, Position(), 2, 10, settings=settings).save()
    record = {"epoch": 1, "images": images, "quality_best": 0.125}
    (folder / "losses.jsonl").write_text(json.dumps(record) + "\n")


def show_run(port: int, name: str) -> None:
    """Charts and held-out pictures, as a training sends them."""
    import visdom

    client: Any = visdom.Visdom(port=port, env=name, use_incoming_socket=False)
    charts = Charts(LOGGED)
    for images in (1, 2, 3):
        charts.add(images, {"cycle_a_to_b": images / 2, "cycle_b_to_a": 1.0})
    draw(client, "cycle", charts["cycle"], charts["cycle"].rows)
    for step in range(2):
        picture = np.full((3, 40, 40), 90.0 * step)
        opts = {"title": "held-out images", "store_history": True, "caption": f"{step} of {name}"}
        client.image(picture, win="held_out", opts=opts)


@contextmanager
def three_runs(assets: Path, folder: Path) -> Iterator[str]:
    port = free_port()
    with dashboard(folder, port, "--assets", str(assets)):
        for number, name in enumerate(RUNS):
            make_run(folder, name, 5 * (number + 1))
            show_run(port, name)
        yield f"http://localhost:{port}/"


def test_the_root_lists_the_runs_and_compares_those_that_are_chosen(
    assets: Path, tmp_path: Path
) -> None:
    with three_runs(assets, tmp_path) as url, opened(url) as page:
        rows = page.locator("tr").all_inner_texts()
        assert len(rows) == 4
        assert all(
            words in rows[-1] for words in ("first", "stopped", "5 of 20", "25%", "progress 0.125")
        )
        page.click("text=second")
        page.wait_for_selector(".js-plotly-plot .scatterlayer .trace path")
        page.wait_for_selector("text=1 of second")
        page.goto(url)
        assert page.locator("#compare").is_disabled()
        for box in page.locator("input").all():
            box.check()
        page.click("#compare")
        page.wait_for_selector("text=runs compared")
        page.wait_for_selector(".legend .traces")
        (chart,) = page.evaluate(CHARTS)
        check_chart(chart)
        for name in RUNS:
            assert page.locator("p.caption", has_text=f"1 of {name}").count() == 1
            assert page.locator("a", has_text=name).count() >= 1
        assert page.complaints == []
        assert strangers(page) == []


def check_chart(chart: dict[str, Any]) -> None:
    """Runs by colour, losses by dash; the legend covers neither title nor lines."""
    losses = ("cycle A→B", "cycle B→A")
    assert sorted(chart["names"]) == sorted(f"{name}: {loss}" for name in RUNS for loss in losses)
    strokes = dict(zip(chart["names"], chart["strokes"], strict=True))
    dashes = dict(zip(chart["names"], chart["dashes"], strict=True))
    assert len({strokes[f"{name}: {losses[0]}"] for name in RUNS}) == len(RUNS)
    for name in RUNS:
        assert strokes[f"{name}: {losses[0]}"] == strokes[f"{name}: {losses[1]}"]
        assert dashes[f"{name}: {losses[0]}"] != dashes[f"{name}: {losses[1]}"]
    assert chart["above"]["bottom"] <= chart["drawing"]["top"]
    assert chart["drawing"]["bottom"] <= chart["legend"]["top"]
    assert chart["legend"]["bottom"] <= chart["whole"]["bottom"]


def test_as_many_runs_as_there_are_have_colours_of_their_own() -> None:
    line = {"name": "loss", "x": [1, 2], "y": [1, 2]}
    pane = {"type": "plot", "title": "loss", "content": {"data": [line], "layout": {}}}
    _, chart = overlay({f"run {number}": {"loss": pane} for number in range(25)})
    assert len({one["line"]["color"] for one in chart["content"]["data"]}) == 25
    assert line == {"name": "loss", "x": [1, 2], "y": [1, 2]}, "what is shown is left as it was"
    key, *_ = overlay({"<b>": {"loss": pane}, "+ ": {"loss": pane}})
    assert "&lt;b&gt;</a>" in key["content"]
    assert "href='/env/%3Cb%3E'" in key["content"]
    assert len(overlay({"only": {"loss": pane}})) == 1, "nothing to compare with"


def test_the_root_without_runs_and_with_one(
    tmp_path: Path, small_assets: Path, cut_off: Silence
) -> None:
    """And an address that is opened before its run has sent anything."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with dashboard(tmp_path / "checkpoints", port, "--assets", str(small_assets)):
        assert "No run yet" in ask(url)[1]
        status, text, _ = ask(f"{url}/env/%3Cb%3Elater")
        assert (status, "&lt;b&gt;later yet" in text, "refresh" in text) == (404, True, True)
        assert ask(f"{url}/env/later", {"sid": "none"})[0] == 200
        send_text(port, "later", "words")
        assert "plotly" in ask(f"{url}/env/later")[1]
        assert "plotly" in ask(url)[1], "the only one is opened"
        make_run(tmp_path / "checkpoints", "unsent", 5)
        _, text, headers = ask(url)
        assert "env/later" in text
        assert "not shown here" in text
        assert "script-src 'self' 'nonce-" in headers["Content-Security-Policy"]


def test_the_list_is_for_those_who_logged_in(
    tmp_path: Path, small_assets: Path, cut_off: Silence
) -> None:
    port = free_port()
    login = {"VISDOM_USERNAME": "me", "VISDOM_PASSWORD": "secret"}
    make_run(tmp_path / "checkpoints", "hidden", 5)
    with dashboard(tmp_path / "checkpoints", port, "--assets", str(small_assets), **login):
        for path in ("", "env/hidden", "env/none", "compare/hidden+none"):
            status, text, _ = ask(f"http://127.0.0.1:{port}/{path}")
            assert "hidden" not in text
            assert status in (200, 400)
        assert ask(f"http://127.0.0.1:{port}/compare/main", {"sid": "x"})[0] in (400, 401)
