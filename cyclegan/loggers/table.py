"""The one table of loggers."""

from collections.abc import Callable
from dataclasses import dataclass

from cyclegan.loggers.comma import CsvLogger
from cyclegan.loggers.console import ConsoleLogger
from cyclegan.loggers.jsonl import JsonLinesLogger
from cyclegan.loggers.pictures import PictureLogger
from cyclegan.loggers.record import LoggerFactory
from cyclegan.loggers.report import ReportLogger
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.loggers.tensorboard import TensorBoardLogger
from cyclegan.loggers.visdom import VisdomLogger
from cyclegan.loggers.wandb import WandbLogger


@dataclass(frozen=True)
class LoggerKind:
    """How a logger is made, and whether the settings ask for it."""

    make: LoggerFactory
    wanted: Callable[[LoggerSettings], bool] = lambda settings: True


#: In the order in which they hear: files first, for the others show what the files hold.
LOGGERS: dict[str, LoggerKind] = {
    "losses.jsonl": LoggerKind(JsonLinesLogger),
    "pictures": LoggerKind(PictureLogger),
    "console": LoggerKind(ConsoleLogger),
    "csv": LoggerKind(CsvLogger, lambda settings: settings.csv),
    "report": LoggerKind(ReportLogger, lambda settings: settings.html),
    "tensorboard": LoggerKind(TensorBoardLogger, lambda settings: settings.tensorboard),
    "wandb": LoggerKind(WandbLogger, lambda settings: settings.use_wandb),
    "visdom": LoggerKind(VisdomLogger, lambda settings: settings.visdom),
}


def wanted(settings: LoggerSettings) -> list[LoggerKind]:
    """The loggers that the settings ask for."""
    return [kind for kind in LOGGERS.values() if kind.wanted(settings)]
