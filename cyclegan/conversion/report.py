"""What is told of a conversion: `index.html` in its folder, and the difference to a reference."""

import logging
import os
from itertools import islice
from pathlib import Path
from statistics import fmean
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from PIL import Image
from torch import Tensor

from cyclegan import images
from cyclegan.atomic import atomic_write
from cyclegan.conversion.files import Job, is_video
from cyclegan.errors import UserError
from cyclegan.metrics import METRICS
from cyclegan.progress import tracked

log = logging.getLogger(__name__)

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


def compare(jobs: list[Job], reference: Path) -> list[str]:
    """A line for each metric: the conversions to `reference`, beside the unconverted inputs.

    Pairs by the name of the output; pictures without a counterpart are left out, and told those
    that can't be read.
    """
    pairs = [(job, reference / job.name) for job in jobs if (reference / job.name).is_file()]
    measured = [
        figures
        for job, path in tracked(pairs, "comparing", "pictures")
        if (figures := _figures(job, path)) is not None
    ]
    if not measured:
        return [f"{reference}: no picture of the same name as a converted one"]
    lines = []
    for number, name in enumerate(METRICS):
        converted, inputs = (
            fmean(figures[number][side] for figures in measured) for side in (0, 1)
        )
        lines.append(
            f"{name} to {reference} over {len(measured)} images: {converted:.4f} "
            f"(the unconverted input: {inputs:.4f})"
        )
    return lines


def _figures(job: Job, path: Path) -> list[tuple[float, float]] | None:
    """By each metric, of the conversion and of the input; None, told, where one can't be read."""
    try:
        expected = images.read(path, 3)
        converted, source = _tensor(job.target, expected), _tensor(job.source, expected)
    except UserError as error:
        log.warning("not compared: %s", error)
        return None
    wanted = images.to_tensor(expected)
    return [(metric(converted, wanted), metric(source, wanted)) for metric in METRICS.values()]


def _tensor(path: Path, like: Image.Image) -> Tensor:
    image = images.read(path, 3)
    return images.to_tensor(image if image.size == like.size else image.resize(like.size))
