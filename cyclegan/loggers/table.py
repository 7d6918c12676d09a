"""The table of loggers, the loggers of Weights & Biases and TensorBoard, and their making."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cyclegan.errors import UsageError, UserError, in_one_line, require_extra
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.console import ConsoleLogger
from cyclegan.loggers.grid import PictureLogger
from cyclegan.loggers.jsonl import JsonLinesLogger
from cyclegan.loggers.logger import Logger, Pictures, Record, RunInfo, RunInfoLogger
from cyclegan.loggers.report import ReportLogger
from cyclegan.loggers.visdom import VisdomLogger
from cyclegan.parts import Parts
from cyclegan.run import Position, RunFolder

log = logging.getLogger(__name__)


class WandbLogger(Logger):
    """Logger of values and grids to Weights & Biases, resuming the same run there."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        require_extra("--use_wandb", "wandb", "wandb")
        import wandb

        self._image = wandb.Image
        file = RunFolder(run_info.folder).wandb_id
        identity = file.read_text() if file.exists() else uuid.uuid4().hex[:12]
        try:
            self._run = wandb.init(
                project=settings.wandb_project_name,
                name=run_info.name,
                id=identity,
                resume="allow",
                dir=run_info.folder,
                config=dict(run_info.settings) | dict(run_info.environment),
            )
        except (wandb.Error, OSError) as error:
            raise UserError(
                f"--use_wandb: {in_one_line(str(error))}; log in with 'wandb login', "
                "set WANDB_MODE=offline, or leave the flag out"
            ) from error
        file.write_text(identity)
        self._run.define_metric("*", step_metric="images")

    def record(self, record: Record) -> None:
        self._run.log({"images": record.position.images} | dict(record.values))

    def pictures(self, position: Position, pictures: Pictures) -> None:
        shown = {name: self._image(grid) for name, grid in pictures.items()}
        self._run.log({"images": position.images} | shown)

    def close(self) -> None:
        self._run.finish()


class TensorBoardLogger(Logger):
    """Logger of scalars and grids; TensorBoard hides what a resumed run repeats."""

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        require_extra("--tensorboard", "tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        # What was logged after the place that the run goes on from is purged.
        self._writer = SummaryWriter(
            str(RunFolder(run_info.folder).tensorboard), purge_step=run_info.start.images + 1
        )

    def record(self, record: Record) -> None:
        for name, value in record.values.items():
            self._writer.add_scalar(name, value, record.position.images)

    def pictures(self, position: Position, pictures: Pictures) -> None:
        for name, grid in pictures.items():
            pixels = np.asarray(grid)
            self._writer.add_image(name, pixels, position.images, dataformats="HWC")

    def saved(self, position: Position) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


@dataclass(frozen=True)
class LoggerKind:
    """A kind of logger: its factory, and whether the settings ask for it."""

    make: Callable[[LoggerSettings, RunInfo], Logger]
    wanted: Callable[[LoggerSettings], bool] = lambda settings: True


#: In the order in which they hear: files first, for the others show what the files hold.
LOGGERS = Parts(
    "loggers",
    LoggerKind,
    {
        "journey.json": LoggerKind(RunInfoLogger),
        "losses.jsonl": LoggerKind(JsonLinesLogger),
        "pictures": LoggerKind(PictureLogger),
        "console": LoggerKind(ConsoleLogger),
        "report": LoggerKind(ReportLogger, lambda settings: settings.html),
        "tensorboard": LoggerKind(TensorBoardLogger, lambda settings: settings.tensorboard),
        "wandb": LoggerKind(WandbLogger, lambda settings: settings.use_wandb),
        "visdom": LoggerKind(VisdomLogger, lambda settings: settings.visdom),
    },
)


def wanted(settings: LoggerSettings) -> list[LoggerKind]:
    """Return the kinds of loggers that the settings ask for. Raises UserError."""
    for name in settings.use_loggers:
        if name not in LOGGERS:
            raise UsageError(f"--use_loggers {name}: no such logger{LOGGERS.instead_of(name)}")
    own = [kind for kind in LOGGERS.own().values() if kind.wanted(settings)]
    return own + [LOGGERS[name] for name in settings.use_loggers]


def make_loggers(settings: LoggerSettings, run_info: RunInfo) -> list[Logger]:
    """Make the loggers that the settings ask for.

    Raises UserError if a package or a login is missing; a resumed run goes on without the logger.
    """
    made = []
    for kind in wanted(settings):
        try:
            made.append(kind.make(settings, run_info))
        except UserError as error:
            if not run_info.start.images:
                raise
            log.warning("%s: the run continues without it", error)
    return made
