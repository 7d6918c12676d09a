"""Chromium for tests: a page that notes what it complains of and what it asks the network for."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# As root Chromium has no sandbox; the rest keeps it from asking its maker for anything.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip


def lacking(what: str) -> NoReturn:
    """Skip, or fail where the machine is said to have everything."""
    if os.environ.get("CYCLEGAN_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def opened(
    url: str, width: int = 1280, height: int = 2300, flags: Sequence[str] = ()
) -> Iterator[Any]:
    """The page at `url`; its `complaints` and `requests` are lists of what it says and asks for."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright is not installed: pip install playwright")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        lacking("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        page: Any = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)  # a busy machine is slow
        page.complaints, page.requests = [], []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("response", lambda answer: _note_failure(page, answer))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(url)
        yield page
        browser.close()


def _note_failure(page: Any, answer: Any) -> None:
    if answer.status >= 400:
        page.complaints.append(f"{answer.status} {answer.url}")


def strangers(page: Any) -> list[str]:
    """What the page asked of others than this machine."""
    near = ("localhost", "127.0.0.1", None)
    return [
        url
        for url in page.requests
        if urlsplit(url).scheme not in ("data", "blob", "file")
        and urlsplit(url).hostname not in near
    ]


def picture_of(page: Any, name: str) -> Path:
    """A screenshot for a person, in the folder of results."""
    path = Path(__file__).parents[1] / "results" / name
    path.parent.mkdir(exist_ok=True)
    page.screenshot(path=path, full_page=True)
    return path
