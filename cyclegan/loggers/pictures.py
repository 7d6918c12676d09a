"""The folder `pictures`: a PNG for each grid."""

from PIL import Image

from cyclegan import images
from cyclegan.loggers.record import Journey, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position


class PictureLogger:
    """Writes `pictures/epoch_003_images_0001200.png`: names sort in the order of training."""

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._folder = journey.folder / "pictures"

    def step(self, position: Position) -> None:
        """Only pictures are written."""

    def record(self, record: Record) -> None:
        """Only pictures are written."""

    def pictures(self, position: Position, grid: Image.Image) -> None:
        name = f"epoch_{position.epoch:03}_images_{position.images:07}.png"
        images.write(grid, self._folder / name)

    def close(self) -> None:
        """Nothing is left open."""
