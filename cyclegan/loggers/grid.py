"""Picture grids: labelled, a row for each direction and image; drawn, saved and read back."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageDraw, ImageFont

from cyclegan import images
from cyclegan.loggers import LoggerSettings
from cyclegan.loggers.logger import Logger, Pictures, RunInfo
from cyclegan.run import Position, RunFolder
from cyclegan.translation import Translation

log = logging.getLogger(__name__)

GAP, LABEL = 4, 16  # pixels between pictures and above each for its name
SMALLEST = 128  # pixels: smaller pictures are enlarged, so that their names fit above them
LARGEST = 1024  # pixels: larger ones are shown smaller
_ARROWS = {"a_to_b": ("A", "B"), "b_to_a": ("B", "A")}


def picture_grid(
    translations: Mapping[str, Translation], rows: int = 1, *, upright: bool = False
) -> Image.Image:
    """Draw the first `rows` images of each direction: real, fake, cycled, identity.

    `upright` swaps rows and columns.
    """
    rows_of_cells = [
        [(_label(direction, name), images.to_image(batch[row])) for name, batch in made.items()]
        for direction, made in ((key, value.pictures()) for key, value in translations.items())
        for row in range(min(rows, *(len(batch) for batch in made.values())))
    ]
    cells = {
        (y, x) if upright else (x, y): content
        for y, row in enumerate(rows_of_cells)
        for x, content in enumerate(row)
    }
    return _drawn(cells)


def _drawn(cells: Mapping[tuple[int, int], tuple[str, Image.Image]]) -> Image.Image:
    """Draw labelled pictures at their (column, row); cells are as large as the largest picture."""
    pictures = [picture for _, picture in cells.values()]
    share = scale(max(max(picture.size) for picture in pictures))
    pictures = [_scaled(picture, share) for picture in pictures]
    width = max(picture.width for picture in pictures) + GAP
    height = max(picture.height for picture in pictures) + GAP + LABEL
    columns, rows = (max(place) + 1 for place in zip(*cells, strict=True))
    grid = Image.new("RGB", (width * columns + GAP, height * rows + GAP), "white")
    draw, font = ImageDraw.Draw(grid), ImageFont.load_default(11)
    for ((x, y), (label, _)), picture in zip(cells.items(), pictures, strict=True):
        left, top = GAP + x * width, GAP + y * height
        draw.text((left, top), label, fill="black", font=font)
        grid.paste(picture, (left, top + LABEL))
    return grid


def cell(grid: Image.Image, side: int, row: int, column: int) -> Image.Image:
    """Cut one picture out of a grid whose pictures are squares of `side` pixels."""
    shown = round(side * scale(side))
    left, top = GAP + column * (shown + GAP), GAP + row * (shown + GAP + LABEL) + LABEL
    return grid.crop((left, top, left + shown, top + shown))


def grid_rows(grid: Image.Image, side: int) -> int:
    """Return how many rows of squares of `side` pixels a grid has."""
    return (grid.height - GAP) // (round(side * scale(side)) + GAP + LABEL)


def scale(longest: int) -> float:
    """Return the factor by which pictures are scaled whose longest side has `longest` pixels."""
    return -(-SMALLEST // longest) if longest < SMALLEST else min(1.0, LARGEST / longest)


def _scaled(image: Image.Image, share: float) -> Image.Image:
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    # Small pictures keep their pixels, so that it is seen how small they are.
    how = Image.Resampling.NEAREST if share > 1 else Image.Resampling.LANCZOS
    return image if share == 1 else image.resize(size, how)


def _label(direction: str, name: str) -> str:
    source, target = _ARROWS.get(direction, (direction, direction))
    domain = {"real": source, "fake": target, "cycled": source, "identity": target}.get(name, "")
    return f"{name} {domain}"


T = TypeVar("T")


class PictureLogger(Logger):
    """Logger that writes `pictures/held_out/epoch_003_images_0001200.png`, sortable by name.

    Pictures from after the checkpoint that a run resumes from are removed first: they will be made
    again.
    """

    def __init__(self, settings: LoggerSettings, run_info: RunInfo) -> None:
        self._folder = RunFolder(run_info.folder).pictures
        if self._folder.is_dir():
            for kind in (path for path in self._folder.iterdir() if path.is_dir()):
                for position, path in saved_pictures(kind):
                    if position.images > run_info.start.images:
                        path.unlink()

    def pictures(self, position: Position, pictures: Pictures) -> None:
        name = f"epoch_{position.epoch:03}_images_{position.images:07}.png"
        for kind, grid in pictures.items():
            images.write(grid, self._folder / kind / name)


def saved_pictures(folder: Path) -> list[tuple[Position, Path]]:
    """Return the position and path of each grid of one kind, in training order."""
    names = ((_NAME.fullmatch(path.name), path) for path in folder.glob("epoch_*.png"))
    found = [
        (Position(epoch=int(name[1]), images=int(name[2])), path) for name, path in names if name
    ]
    return sorted(found, key=lambda item: item[0].images)


def opened(saved: Iterable[tuple[Position, Path]]) -> Iterator[tuple[Position, Image.Image]]:
    """Read the grids; damaged ones are skipped with a warning."""
    for position, path in saved:
        try:
            yield position, images.read(path, channels=3)
        except images.UnreadableImageError as error:
            log.warning("%s: skipped; delete it to stop this warning", error)


def thinned(items: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` of the items, evenly spaced, always including the last."""
    if len(items) <= limit:
        return list(items)
    last = len(items) - 1
    places = [round(place * last / max(1, limit - 1)) for place in range(limit - 1)]
    return [items[place] for place in (*places, last)]


_NAME = re.compile(r"epoch_(\d+)_images_(\d+)\.png")
