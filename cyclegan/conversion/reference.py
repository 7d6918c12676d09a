"""Conversions beside the pictures that should have come out."""

import logging
from pathlib import Path
from statistics import fmean

from PIL import Image
from torch import Tensor

from cyclegan import images
from cyclegan.conversion.files import Job
from cyclegan.errors import UserError
from cyclegan.metrics import METRICS
from cyclegan.progress import tracked

log = logging.getLogger(__name__)


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
