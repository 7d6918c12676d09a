"""A loss term, a generator and a logger that cyclegan finds by entry points."""

from typing import Literal

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

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


BRUSH = Kind(BrushSettings)


class Tally(Logger):
    """A line for each record, beside the checkpoints."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._file = run_info.folder / "tally.txt"

    def record(self, record: Record) -> None:
        with self._file.open("a") as file:
            file.write(f"{record.position.images} {record.values['luminance_a_to_b']:.3f}\n")


TALLY = LoggerKind(Tally)
