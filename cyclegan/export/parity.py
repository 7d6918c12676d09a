"""Whether a file makes the same pictures as what it was made of."""

from pathlib import Path

import torch

from cyclegan.conversion import weights
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.weights import Generator
from cyclegan.execution.execution import Execution

LIMIT = 2.0  # of 255 levels

_PATTERN = (53, 75)  # pixels: no multiples of anything, and not the sides it was exported with


def levels(generator: Generator, path: Path) -> float:
    """The largest difference on a test pattern, in levels of 255; `generator` is not changed.

    Raises UserError where the file at `path` can't be read.
    """
    channels = generator.architecture.input_nc
    noise = torch.Generator().manual_seed(0)
    pattern = torch.rand(channels, *_PATTERN, generator=noise) * 2 - 1
    cpu = torch.device("cpu")
    expected = Translator(generator, cpu, Execution()).convert(pattern)
    found = Translator(weights.load(path, None, trust_code=True), cpu, Execution()).convert(pattern)
    return float((found - expected).abs().max()) * 127.5
