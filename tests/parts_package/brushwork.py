"""A loss term, a generator, a logger and an image format that cyclegan finds by entry points."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from cyclegan.images import Encoding
from cyclegan.images.arrays import Meaning, of_array
from cyclegan.images.codec import Codec
from cyclegan.images.formats import ImageFormat
from cyclegan.images.picture import Document, Picture, Range
from cyclegan.images.tags import Tags
from cyclegan.kinds import STRICT, Kind
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.logger import Logger, Record, RunInfo
from cyclegan.loggers.table import LoggerKind
from cyclegan.losses.terms import Term, stateless
from cyclegan.translation import Translation


def luminance(translation: Translation) -> Tensor:
    """Light and shade of the source should stay."""
    made, wanted = (image.mean(1) for image in (translation.fake, translation.source))
    return (made - wanted).abs().mean()


LUMINANCE = Term(stateless(luminance))


@dataclass(frozen=True, config=STRICT)
class BrushSettings:
    """Two convolutions."""

    netG: Literal["brush"] = "brush"
    """generator architecture"""
    bristles: PositiveInt = 3
    """filters between the convolutions"""

    @property
    def dropout(self) -> bool:
        return False

    @property
    def residual(self) -> bool:
        return False

    @property
    def widest(self) -> int:
        return self.bristles

    @property
    def multiple(self) -> int:
        return 1

    @property
    def reach(self) -> int:
        return 4

    def bytes_per_pixel(self, input_nc: int, output_nc: int) -> float:
        return 4 * (2 * self.bristles + input_nc + output_nc)

    def build(self, input_nc: int, output_nc: int, norm: str) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(input_nc, self.bristles, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(self.bristles, output_nc, 3, padding=1),
            nn.Tanh(),
        )


def _pixels(path: Path) -> np.ndarray:
    content = path.read_bytes()
    height, width = np.frombuffer(content, "<u2", 2)
    return np.frombuffer(content, np.uint8, offset=4).reshape(height, width, 3)


def _read(path: Path, values: Range | None) -> Document:
    return Document([of_array(_pixels(path), values, Tags(), Meaning(has_alpha=False))])


def _write(file: Path, pictures: Iterable[Picture], like: Document, how: Encoding) -> None:
    pixels = next(iter(pictures)).pixels
    file.write_bytes(np.array(pixels.shape[:2], "<u2").tobytes() + pixels.tobytes())


#: Bytes behind height and width; Pillow can't read them.
CODEC = Codec(_read, _write, lambda path: True, lambda path: _pixels(path).shape[1::-1])
SWATCH = ImageFormat("SWATCH", (".swatch",), codec=lambda: CODEC)

BRUSH = Kind(BrushSettings)


class Tally(Logger):
    """A line for each record, beside the checkpoints."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._file = run_info.folder / "tally.txt"

    def record(self, record: Record) -> None:
        with self._file.open("a") as file:
            file.write(f"{record.position.images} {record.values['luminance_a_to_b']:.3f}\n")


TALLY = LoggerKind(Tally)
