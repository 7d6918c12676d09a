"""Events for TensorBoard, in the run's folder `tensorboard`."""

import numpy as np

from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.record import Logger, Pictures, Record
from cyclegan.packages import need
from cyclegan.position import Position
from cyclegan.run_folder import RunFolder


class TensorBoardLogger(Logger):
    """Scalars and grids over images seen. What a resumed run repeats is hidden by TensorBoard."""

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        need("--tensorboard", "tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        # What was logged after the place that the run goes on from is purged.
        self._writer = SummaryWriter(
            str(RunFolder(journey.folder).tensorboard), purge_step=journey.start.images + 1
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
