"""The one table of loggers."""

from cyclegan.loggers.console import ConsoleLogger
from cyclegan.loggers.jsonl import JsonLinesLogger
from cyclegan.loggers.pictures import PictureLogger
from cyclegan.loggers.record import LoggerFactory
from cyclegan.loggers.visdom import VisdomLogger

LOGGERS: dict[str, LoggerFactory] = {
    "console": ConsoleLogger,
    "losses.jsonl": JsonLinesLogger,
    "pictures": PictureLogger,
    "visdom": VisdomLogger,
}
