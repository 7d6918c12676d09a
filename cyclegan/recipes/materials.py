"""Inputs and outputs of recipes: styles, materials, saved networks, converters."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan import images
from cyclegan.classic import Architecture, Weights
from cyclegan.errors import UsageError, UserError
from cyclegan.execution.choice import Work
from cyclegan.execution.execution import Execution
from cyclegan.generators import GeneratorSettings
from cyclegan.layers import ChannelSettings, Norm
from cyclegan.training import TrainingSettings

_SMALLEST = 16  # pixels a side: in less there is no style to see


@dataclass(frozen=True)
class Styles:
    """Files of pictures and their weights, or a mix of learned paintings by their names."""

    files: tuple[Path, ...] = ()
    weights: tuple[float, ...] = ()
    """one per file, not all 0; none: equal weights"""
    mix: str | None = None
    """mixing weights of learned paintings, starry=0.7,irises=0.3"""

    def open(self, side: int, channels: int, model: Path) -> tuple[list[Tensor], tuple[float, ...]]:
        """Return the pictures (1, channels, H, W) in [-1, 1], scaled by `open_style`, and weights.

        Raises UserError, naming the `model`, where there is none or one can't be read.
        """
        if not self.files:
            raise UsageError(
                f"{model}: needs a picture to take the style from: add --style FILE to convert or "
                "to export; a model exported with one can be served"
            )
        if self.weights and len(self.weights) != len(self.files):
            raise UsageError(
                f"--style_weights: {len(self.weights)} for {len(self.files)} pictures of --style: "
                "give one for each"
            )
        if self.weights and not sum(self.weights):
            raise UsageError("--style_weights: all are 0: at least one must be above 0")
        once = self._each_once()
        return [open_style(file, side, channels) for file in once.files], once.weights

    def _each_once(self) -> "Styles":
        """Return a copy where a picture given twice, perhaps by another path, has both weights."""
        files: dict[str, Path] = {}
        weights: dict[str, float] = {}
        for number, file in enumerate(self.files):
            there = os.path.realpath(file)
            files.setdefault(there, file)
            if self.weights:
                weights[there] = weights.get(there, 0.0) + self.weights[number]
        return Styles(tuple(files.values()), tuple(weights.values()))

    def refuse_files(self, model: Path) -> None:
        """Raise UsageError where pictures are given: `model` can't take on their style."""
        if self.files or self.weights:
            raise UsageError(
                f"--style: {model} has its style from training or export: leave --style out"
            )

    def refuse_mix(self, model: Path) -> None:
        """Raise UsageError where a mix is asked for: `model` has nothing to mix."""
        if self.mix is not None:
            raise UsageError(
                f"--style_mix {self.mix}: {model} knows one style; a run of several paintings "
                "can mix"
            )

    def refuse(self, model: Path) -> None:
        """Raise UsageError where any style is asked for: `model` has its own."""
        self.refuse_mix(model)
        self.refuse_files(model)


#: What converts with a model that has its style.
NO_STYLES = Styles()


def open_style(
    path: Path,
    side: int,
    channels: int = 3,
    smallest: int = _SMALLEST,
    remedy: str = "a larger picture",
) -> Tensor:
    """Read a picture (1, channels, H, W) in [-1, 1], its shorter side scaled down to `side` pixels.

    Raises UserError where it can't be read, or is smaller than `smallest`; `remedy` is what helps.
    """
    image = images.read(path, channels)
    share = min(1.0, side / min(image.size))
    width, height = (max(1, round(length * share)) for length in image.size)
    if min(width, height) < smallest:
        raise UserError(
            f"--style {path}: {width}x{height} pixels are too few to show a style, "
            f"{smallest} a side are needed: give {remedy}"
        )
    return images.to_tensor(image.resize((width, height), Image.Resampling.BICUBIC))[None]


@dataclass(frozen=True)
class Teacher:
    """A trained generator for another to learn from, and what it was judged by."""

    generator: nn.Module
    channels: tuple[int, int]
    """its input and output channels"""
    discriminator: nn.Module | None = None
    """the one of its domain; None where its file holds none"""


@dataclass(frozen=True)
class Materials:
    """Inputs that all recipes train with, besides their own settings."""

    channels: ChannelSettings
    training: TrainingSettings
    execution: Execution
    seed: int
    device: torch.device
    targets: Sequence[Path] = ()
    """files of domain B, for recipes that need whole pictures before training"""
    images_per_step: int = 1
    """images of each domain in a step"""
    images: float = math.inf
    """images of each domain in the whole run; schedules stay at their start where it has no end"""
    open_teacher: Callable[[Path], Teacher] | None = None
    """opens a trained model of the run's direction"""

    @property
    def steps(self) -> float:
        """Steps of the whole run."""
        return self.images / self.images_per_step


@dataclass(frozen=True)
class Saved:
    """Networks of a checkpoint, and the name of the wanted one."""

    networks: Mapping[str, Weights]
    name: str
    channels: tuple[int, int]
    """its input and output channels"""
    path: Path
    """of the checkpoint, to name it"""

    @property
    def weights(self) -> Weights:
        """Weights of the wanted network."""
        return self.networks[self.name]


@dataclass(frozen=True)
class Converter:
    """The converting network of a checkpoint: its architecture and weights."""

    architecture: Architecture
    weights: Weights
    finish: Callable[[nn.Module], nn.Module] | None = None
    """final step after loading weights, such as setting its styles"""

    @classmethod
    def as_trained(cls, generator: GeneratorSettings, norm: Norm, saved: Saved) -> "Converter":
        """Return the wanted generator of a checkpoint, as it was trained."""
        return cls(Architecture(generator, *saved.channels, norm), saved.weights)


def generator_work(
    generator: GeneratorSettings,
    norm: Norm,
    channels: ChannelSettings,
    batch: int,
    side: int,
    passes: float,
) -> Work:
    """Return the workload of a generator, by whose passes a step is measured."""
    return Work(
        generator.build(channels.input_nc, channels.output_nc, norm),
        (batch, channels.input_nc, side, side),
        passes,
        per_sample=norm != "batch" and not generator.dropout,
        widest=generator.widest,
    )
