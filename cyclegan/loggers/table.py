"""The one table of loggers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cyclegan.errors import UserError
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.console import ConsoleLogger
from cyclegan.loggers.journey import Journey, JourneyLogger
from cyclegan.loggers.jsonl import JsonLinesLogger
from cyclegan.loggers.pictures import PictureLogger
from cyclegan.loggers.record import Logger
from cyclegan.loggers.report import ReportLogger
from cyclegan.loggers.tensorboard import TensorBoardLogger
from cyclegan.loggers.visdom import VisdomLogger
from cyclegan.loggers.wandb import WandbLogger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoggerKind:
    """How a logger is made, and whether the settings ask for it."""

    make: Callable[[LoggerSettings, Journey], Logger]
    wanted: Callable[[LoggerSettings], bool] = lambda settings: True


#: In the order in which they hear: files first, for the others show what the files hold.
LOGGERS: dict[str, LoggerKind] = {
    "journey.json": LoggerKind(JourneyLogger),
    "losses.jsonl": LoggerKind(JsonLinesLogger),
    "pictures": LoggerKind(PictureLogger),
    "console": LoggerKind(ConsoleLogger),
    "report": LoggerKind(ReportLogger, lambda settings: settings.html),
    "tensorboard": LoggerKind(TensorBoardLogger, lambda settings: settings.tensorboard),
    "wandb": LoggerKind(WandbLogger, lambda settings: settings.use_wandb),
    "visdom": LoggerKind(VisdomLogger, lambda settings: settings.visdom),
}


def wanted(settings: LoggerSettings) -> list[LoggerKind]:
    """The loggers that the settings ask for."""
    return [kind for kind in LOGGERS.values() if kind.wanted(settings)]


def make_loggers(settings: LoggerSettings, journey: Journey) -> list[Logger]:
    """Make the loggers that the settings ask for.

    Raises UserError where a package or a login is missing; a run that goes on does so without.
    """
    made = []
    for kind in wanted(settings):
        try:
            made.append(kind.make(settings, journey))
        except UserError as error:
            if not journey.start.images:
                raise
            log.warning("%s: the run goes on without it", error)
    return made
