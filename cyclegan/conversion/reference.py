"""Conversions beside the pictures that should have come out."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from cyclegan import images
from cyclegan.conversion.files import Job
from cyclegan.metrics import METRICS


def compare(jobs: list[Job], reference: Path) -> list[str]:
    """A line for each metric: the conversions to `reference`, beside the unconverted inputs.

    Pairs by the name of the output; pictures without a counterpart are left out.
    """
    pairs = [(job, reference / job.name) for job in jobs if (reference / job.name).is_file()]
    if not pairs:
        return [f"{reference}: no picture of the same name as a converted one"]
    lines = []
    for name, metric in METRICS.items():
        converted = inputs = 0.0
        for job, path in pairs:
            expected = images.read(path, 3)
            converted += metric(_tensor(job.target, expected), images.to_tensor(expected))
            inputs += metric(_tensor(job.source, expected), images.to_tensor(expected))
        lines.append(
            f"{name} to {reference} over {len(pairs)} images: {converted / len(pairs):.4f} "
            f"(the unconverted input: {inputs / len(pairs):.4f})"
        )
    return lines


def _tensor(path: Path, like: Image.Image) -> Tensor:
    image = images.read(path, 3)
    return images.to_tensor(image if image.size == like.size else image.resize(like.size))
