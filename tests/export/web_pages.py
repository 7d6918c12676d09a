"""The folder of --format web, its server, and what its page makes of pictures in Chromium."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import lacking, opened, strangers
from PIL import Image

from cyclegan import cli
from cyclegan.errors import UserError
from cyclegan.export import web

Web = Callable[[str], Path]
READY = '#device:has-text("On this device, by ")'


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache with onnxruntime-web's real files, by whichever source is reached."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        try:
            web.runtime(None)
        except UserError:
            lacking("neither unpkg.com nor npm's registry is reached")
        yield folder / "cyclegan" / f"onnxruntime-web-{web.VERSION}"


def export(runs: Path, name: str, output: Path, *flags: str) -> int:
    of_run = ["--name", name, "--checkpoints_dir", str(runs), "--output", str(output)]
    return cli.run(["export", "--format", "web", *of_run, *flags])


@pytest.fixture(scope="session")
def exported_page(cache: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Web:
    """Export a run as the command does, each once; returns the folder."""
    root = tmp_path_factory.mktemp("web")

    def folder(name: str) -> Path:
        if not (root / name).exists():
            assert export(runs, name, root / name) == 0
        return root / name

    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Python's own server of files, as the documentation names it."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = re.search(r"port (\d+)", server.stdout.readline())
            assert port is not None
            yield f"http://localhost:{port[1]}/"
        finally:
            server.terminate()


@contextmanager
def shown(folder: Path, query: str = "", flags: list[str] | None = None) -> Iterator[Any]:
    with served(folder) as url, opened(f"{url}{query}", height=900, flags=flags or []) as page:
        page.wait_for_selector(READY)
        yield page
        assert strangers(page) == []


def choose(page: Any, path: Path) -> None:
    page.set_input_files("#file", path)


def made(page: Any, path: Path) -> Image.Image:
    """What the page makes of a file, as it is downloaded."""
    choose(page, path)
    page.wait_for_selector("#download:visible")
    with page.expect_download() as coming:
        page.click("#download")
    with Image.open(coming.value.path()) as image:
        assert image.format == "PNG"
        image.load()
    page.click("#another")
    page.wait_for_selector("#empty:visible")
    return image


def on_white(image: Image.Image) -> np.ndarray:
    """What is seen of a picture, in levels."""
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image.convert("RGBA")))[..., :3].astype(int)
