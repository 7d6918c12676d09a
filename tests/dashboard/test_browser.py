"""The page as a browser shows it: no error, nothing asked of any other machine."""

from pathlib import Path
from typing import Any

import numpy as np
from browser import opened, strangers
from dashboard.serving import dashboard
from visdom_server import free_port


def client_of(port: int, **login: str) -> Any:
    import visdom

    return visdom.Visdom(port=port, env="my run", use_incoming_socket=False, **login)


def test_windows_of_a_run(assets: Path, tmp_path: Path) -> None:
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
        with opened(f"http://localhost:{port}/env/my%20run") as page:
            page.wait_for_selector(".js-plotly-plot .scatterlayer .trace path")
            page.wait_for_selector("text=words in a window")
            page.wait_for_selector("img[src^='data:image']")
            page.wait_for_selector("text=Selected:")
            page.wait_for_selector("text=online")
            client.text("and more", win="t", append=True)  # seen without loading the page again
            page.wait_for_selector("text=and more")
            page.wait_for_load_state("networkidle")
            assert page.complaints == []
            assert strangers(page) == []


def test_the_login_page(assets: Path, tmp_path: Path) -> None:
    port = free_port()
    login = {"VISDOM_USERNAME": "me", "VISDOM_PASSWORD": "secret"}
    with dashboard(tmp_path, port, "--assets", str(assets), **login):
        client_of(port, username="me", password="secret").text("hidden words", win="t")
        with opened(f"http://localhost:{port}/") as page:
            page.fill("#inputUsername", "me")
            page.fill("#inputPassword", "secret")
            page.click("#submitButton")
            page.wait_for_selector("text=online")
            page.goto(f"http://localhost:{port}/env/my%20run")
            page.wait_for_selector("text=hidden words")
            assert page.complaints == []
            assert strangers(page) == []
