"""The folder `pictures`: a PNG for each grid, in a folder for each kind of grid."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from cyclegan import images
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.journey import Journey
from cyclegan.loggers.record import Logger, Pictures
from cyclegan.position import Position
from cyclegan.run_folder import RunFolder

log = logging.getLogger(__name__)
T = TypeVar("T")


class PictureLogger(Logger):
    """Writes `pictures/held_out/epoch_003_images_0001200.png`: names sort as training went.

    What a run wrote after the checkpoint that it goes on from is removed first: it will be made
    again.
    """

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        self._folder = RunFolder(journey.folder).pictures
        if self._folder.is_dir():
            for kind in (path for path in self._folder.iterdir() if path.is_dir()):
                for position, path in saved_pictures(kind):
                    if position.images > journey.start.images:
                        path.unlink()

    def pictures(self, position: Position, pictures: Pictures) -> None:
        name = f"epoch_{position.epoch:03}_images_{position.images:07}.png"
        for kind, grid in pictures.items():
            images.write(grid, self._folder / kind / name)


def saved_pictures(folder: Path) -> list[tuple[Position, Path]]:
    """The grids of one kind and where in the run each was made, in that order."""
    names = ((_NAME.fullmatch(path.name), path) for path in folder.glob("epoch_*.png"))
    found = [
        (Position(epoch=int(name[1]), images=int(name[2])), path) for name, path in names if name
    ]
    return sorted(found, key=lambda item: item[0].images)


def opened(saved: Iterable[tuple[Position, Path]]) -> Iterator[tuple[Position, Image.Image]]:
    """The grids themselves; one that is damaged is passed over."""
    for position, path in saved:
        try:
            yield position, images.read(path, channels=3)
        except images.UnreadableImageError as error:
            log.warning("%s: left out; delete it to hear no more of it", error)


def thinned(items: Sequence[T], limit: int) -> list[T]:
    """At most `limit` of the items, evenly spaced, the last one always among them."""
    if len(items) <= limit:
        return list(items)
    last = len(items) - 1
    places = [round(place * last / max(1, limit - 1)) for place in range(limit - 1)]
    return [items[place] for place in (*places, last)]


_NAME = re.compile(r"epoch_(\d+)_images_(\d+)\.png")
