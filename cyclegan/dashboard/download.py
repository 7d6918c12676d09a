"""visdom's own download of its page's scripts, as a process that gives up.

Run as `python -m cyclegan.dashboard.download FOLDER URL...`: prints a line when all URLs answer,
then downloads into FOLDER/static and ends with 0, or with 1 at the first thing that fails. Left to
itself, visdom's waits for ever where nobody answers, and goes on after a file that can't be had.
"""

import contextlib
import functools
import logging
import os
import socket
import sys
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATIENCE = 4.0  # seconds without a byte
#: One file of each host that visdom downloads from.
URLS = (
    "https://unpkg.com/sjcl@1.0.7/sjcl.js",
    "https://cdn.plot.ly/plotly-2.11.1.min.js",
    "https://d3js.org/d3-selection-multi.v1.js",
    "https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.5/MathJax.js",
)


class _GiveUp(logging.Handler):
    """visdom logs what could not be downloaded, as an error: the rest is no use then."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            os._exit(1)


def main(folder: str, urls: Sequence[str]) -> None:
    """Ask the hosts, then let visdom download into `folder`. Raises OSError."""
    socket.setdefaulttimeout(PATIENCE)
    with ThreadPoolExecutor(len(urls)) as pool:
        list(pool.map(_ask, urls))
    sys.stdout.write("answers\n")
    sys.stdout.flush()
    import requests
    from visdom.server import build

    download_scripts: Any = build.download_scripts
    # requests pays no heed to the default timeout.
    requests.get = functools.partial(requests.get, timeout=PATIENCE)
    logging.getLogger().addHandler(_GiveUp())
    with contextlib.redirect_stdout(None):
        download_scripts(install_dir=folder)


def _ask(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="HEAD")).close()


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except Exception:  # whatever it is, the next source is tried
        sys.exit(1)
