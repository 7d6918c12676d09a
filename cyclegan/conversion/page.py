"""`index.html` in the output folder: inputs and outputs side by side, without a server."""

import os
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader

from cyclegan.atomic import atomic_write
from cyclegan.conversion.files import Job, is_video

PAGE = "index.html"
MOST = 1000  # pairs: a browser has to lay them all out


def write_page(jobs: list[Job], output: Path, title: str) -> Path:
    """Write the page over `jobs` whose picture is there; return its path."""
    template = Environment(
        loader=PackageLoader("cyclegan.conversion", ""), autoescape=True
    ).get_template("page.html.j2")
    pairs = [
        {
            "name": job.name.as_posix(),
            "input": _link(job.source, output),
            "output": _link(job.target, output),
            "moves": is_video(job.source),
        }
        for job in islice((job for job in jobs if job.is_done), MOST)
    ]
    path = output / PAGE
    page = template.render(title=title, pairs=pairs, pictures=len(jobs))
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="replace")  # names may be any bytes
    return path


def _link(path: Path, output: Path) -> str:
    return quote(os.fsencode(os.path.relpath(path.resolve(), output.resolve())))
