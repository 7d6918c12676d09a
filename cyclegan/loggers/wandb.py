"""Weights & Biases."""

import uuid

from cyclegan.errors import UserError, in_one_line
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.record import Logger, Pictures, Record
from cyclegan.packages import need
from cyclegan.position import Position
from cyclegan.run_folder import RunFolder


class WandbLogger(Logger):
    """Values and grids over images seen, one run there for a run here, also after a resume."""

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        need("--use_wandb", "wandb", "wandb")
        import wandb

        self._image = wandb.Image
        file = RunFolder(journey.folder).wandb_id
        identity = file.read_text() if file.exists() else uuid.uuid4().hex[:12]
        try:
            self._run = wandb.init(
                project=settings.wandb_project_name,
                name=journey.name,
                id=identity,
                resume="allow",
                dir=journey.folder,
                config=dict(journey.settings) | dict(journey.environment),
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
