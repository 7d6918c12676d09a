"""The page as a browser shows it: no error, nothing asked of any other machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from dashboard.serving import dashboard, free_port, lacking

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium: the system's, or the one that `playwright install chromium` brings."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        lacking("playwright is not installed")
    system = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=system, args=FLAGS)
        except Error as error:
            lacking(f"no Chromium: {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


class Visit:
    """A page that was opened, and everything that it complained of or asked for."""

    def __init__(self, browser: Any, url: str) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str | None] = set()
        self.page = browser.new_page(viewport={"width": 1400, "height": 1000})
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))
        self.page.on("response", self._see)
        self.page.goto(url)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _see(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")


@pytest.fixture
def client_of() -> Any:
    import visdom

    def connect(port: int, **login: str) -> Any:
        return visdom.Visdom(port=port, env="my run", use_incoming_socket=False, **login)

    return connect


def test_windows_of_a_run(browser: Any, assets: Path, tmp_path: Path, client_of: Any) -> None:
    port = free_port()
    with dashboard(tmp_path, port, "--assets", str(assets)):
        client = client_of(port)
        client.line(
            Y=np.array([1.0, 3.0]), X=np.array([0, 1]), win="c", opts={"title": r"curve $\alpha^2$"}
        )
        client.text("words in a window", win="t", opts={"title": "text"})
        for step in range(2):
            picture = np.full((3, 40, 40), 90.0 * step)
            client.image(picture, win="p", opts={"title": "pictures", "store_history": True})
        visit = Visit(browser, f"http://localhost:{port}/env/my%20run")
        visit.page.wait_for_selector(".js-plotly-plot .scatterlayer .trace path")
        visit.page.wait_for_selector("text=words in a window")
        visit.page.wait_for_selector("img[src^='data:image']")
        visit.page.wait_for_selector("text=Selected:")
        visit.page.wait_for_selector("text=online")
        client.text("and more", win="t", append=True)  # seen without loading the page again
        visit.page.wait_for_selector("text=and more")
        visit.page.wait_for_load_state("networkidle")
        assert visit.complaints == []
        assert visit.hosts <= {"localhost", "127.0.0.1", ""}


def test_the_login_page(browser: Any, assets: Path, tmp_path: Path, client_of: Any) -> None:
    port = free_port()
    login = {"VISDOM_USERNAME": "me", "VISDOM_PASSWORD": "secret"}
    with dashboard(tmp_path, port, "--assets", str(assets), **login):
        client_of(port, username="me", password="secret").text("hidden words", win="t")
        visit = Visit(browser, f"http://localhost:{port}/")
        visit.page.fill("#inputUsername", "me")
        visit.page.fill("#inputPassword", "secret")
        visit.page.click("#submitButton")
        visit.page.wait_for_selector("text=online")
        visit.page.goto(f"http://localhost:{port}/env/my%20run")
        visit.page.wait_for_selector("text=hidden words")
        assert visit.complaints == []
        assert visit.hosts <= {"localhost", "127.0.0.1", ""}
