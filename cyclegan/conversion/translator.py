"""A trained generator as a function of pictures."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cyclegan import checkpoint, images
from cyclegan.conversion import weights
from cyclegan.conversion.settings import NormStatistics
from cyclegan.conversion.weights import Generator
from cyclegan.device import choose_device
from cyclegan.execution.choice import choose_for_conversion
from cyclegan.execution.execution import Execution
from cyclegan.execution.settings import PrecisionChoice, Switch
from cyclegan.run import FolderDirection

SMALLEST = 8  # pixels: below it the innermost reflection padding has nothing to reflect


class Translator:
    """Converts pictures of any size with one generator."""

    def __init__(
        self,
        generator: Generator,
        device: torch.device,
        execution: Execution,
    ) -> None:
        """Lays the generator's weights out for `execution`: it is trained no more."""
        self.generator = generator
        self.device = device
        self.execution = execution
        self._convert = execution.prepare_trained(generator.network.to(device))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        direction: FolderDirection | None = None,
        epoch: str | int = "latest",
        device: str = "auto",
        norm_statistics: NormStatistics = "trained",
        precision: PrecisionChoice = "fp32",
        compile: Switch = "off",
        average: bool = True,
    ) -> "Translator":
        """Load from a run's folder, a checkpoint, or a generator's file of the classic scripts.

        `direction` "AtoB" or "BtoA" counts by the folders trained on; None is the one trained.
        `precision` "auto" takes bfloat16 where that is quicker: pixels differ by less than a level.
        `average` takes the weights averaged over the training's steps, where there are any.
        Raises UserError where there is nothing to load.
        """
        path = Path(path)
        file = checkpoint.path_of(path, str(epoch)) if path.is_dir() else path
        generator = weights.load(file, direction, average=average)
        if norm_statistics == "image":
            weights.use_image_statistics(generator.network)
        where = choose_device(device)
        channels = generator.architecture.input_nc
        execution = choose_for_conversion(generator.network, channels, precision, compile, 0, where)
        return cls(generator, where, execution)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Convert a picture of any mode; the result has its size, in RGB or grayscale."""
        channels = self.generator.architecture.input_nc
        return images.to_image(self.convert(images.to_tensor(images.as_mode(image, channels))))

    def convert(self, image: Tensor) -> Tensor:
        """(C, H, W) in [-1, 1] -> (C', H, W) in [-1, 1]; sides are padded by reflection."""
        height, width = image.shape[1:]
        padded = _pad(image).unsqueeze(0).to(self.device)
        with torch.inference_mode():
            converted: Tensor = self._convert(padded)[0]
        top, left = _margin(height)[0], _margin(width)[0]
        return converted[:, top : top + height, left : left + width]


def padded_side(side: int) -> int:
    """The side in pixels that the network sees: a multiple of 4, and no less than it needs."""
    return max(SMALLEST, -(-side // 4) * 4)


def _margin(side: int) -> tuple[int, int]:
    missing = padded_side(side) - side
    return missing // 2, missing - missing // 2


def _pad(image: Tensor) -> Tensor:
    """Reflect at the borders, as often as it takes: a picture may be one pixel wide."""
    margins = ((0, 0), _margin(image.shape[1]), _margin(image.shape[2]))
    if not any(map(any, margins)):
        return image
    return torch.from_numpy(np.pad(image.numpy(), margins, mode="reflect"))
