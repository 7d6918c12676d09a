"""Images by which 8 bits are laid out, and what the result is worth."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from cyclegan.benchmark.pairs import measure
from cyclegan.classic import Architecture
from cyclegan.conversion import weights
from cyclegan.conversion.reader import scaled
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.weights import Generator
from cyclegan.data.folders import list_images
from cyclegan.execution.execution import Execution
from cyclegan.export import ExportSettings
from cyclegan.images import read, to_tensor
from cyclegan.metrics import mean_absolute_difference

MEASURED = 4  # images
PAIRS = 5


@dataclass(frozen=True)
class Images:
    """Two sets that share no image, unless there is one alone."""

    calibrating: list[Tensor]
    """(1, C, H, W) in [-1, 1], sides as the network takes them"""
    measured: list[Tensor]
    """(C, H, W) in [-1, 1]"""


def images(settings: ExportSettings, architecture: Architecture) -> Images:
    """Images of `settings.calibration`, taken evenly. Raises UserError where it holds none."""
    assert settings.calibration is not None
    paths = list_images(settings.calibration)
    step = -(-len(paths) // settings.calibration_images)
    found = [_image(path, settings.load_size, architecture) for path in paths[::step]]
    apart = min(MEASURED, len(found) // 2)
    calibrating = found[: len(found) - apart]
    return Images([image[None] for image in calibrating], found[-apart:] if apart else found)


def compare(generator: Generator, path: Path, measured: list[Tensor]) -> str:
    """A line on the file's pictures and time beside the plain float32 loop's, run in turn."""
    cpu = torch.device("cpu")
    plain = Translator(generator, cpu, Execution())
    chosen = Translator(weights.load(path, None, trust_code=True), cpu, Execution())
    differences = [
        255 * mean_absolute_difference(chosen.convert(image), plain.convert(image))
        for image in measured
    ]
    times = measure(
        lambda: [plain.convert(image) for image in measured],
        lambda: [chosen.convert(image) for image in measured],
        PAIRS,
    )
    ratio = times.ratio
    return (
        f"int8: mean difference {sum(differences) / len(differences):.2f} of 255 levels, "
        f"{ratio.median:.2f} ({ratio.min:.2f} to {ratio.max:.2f}) of the time of PyTorch's plain "
        f"float32 loop ({len(measured)} images, {PAIRS} pairs in turn, "
        f"{torch.get_num_threads()} threads)"
    )


def _image(path: Path, side: int, architecture: Architecture) -> Tensor:
    """(C, H, W), the shorter side scaled to `side`, cut to sides that need no padding."""
    image = read(path, architecture.input_nc)
    image = image.resize(scaled(image.size, side), Image.Resampling.BICUBIC)
    step = architecture.generator.multiple
    width, height = (max(2, length // step) * step for length in image.size)
    return to_tensor(image.crop((0, 0, width, height)))
