"""One picture of what the generators make: labelled, a row for each direction and image."""

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

from cyclegan import images
from cyclegan.translation import Translation

GAP, LABEL = 4, 16  # pixels between pictures and above each for its name
SMALLEST = 128  # pixels: smaller pictures are enlarged, so that their names fit above them
_ARROWS = {"a_to_b": ("A", "B"), "b_to_a": ("B", "A")}


def picture_grid(
    translations: Mapping[str, Translation], rows: int = 1, *, upright: bool = False
) -> Image.Image:
    """The first `rows` images of each direction: real, fake, cycled, identity.

    `upright` lets rows and columns change places.
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
    """Labelled pictures at their (column, row); all places are as large as the largest picture."""
    pictures = [picture for _, picture in cells.values()]
    times = enlargement(min(picture.width for picture in pictures))
    width = max(picture.width for picture in pictures) * times + GAP
    height = max(picture.height for picture in pictures) * times + GAP + LABEL
    columns, rows = (max(place) + 1 for place in zip(*cells, strict=True))
    grid = Image.new("RGB", (width * columns + GAP, height * rows + GAP), "white")
    draw, font = ImageDraw.Draw(grid), ImageFont.load_default(11)
    for (x, y), (label, picture) in cells.items():
        left, top = GAP + x * width, GAP + y * height
        draw.text((left, top), label, fill="black", font=font)
        grid.paste(_enlarged(picture, times), (left, top + LABEL))
    return grid


def cell(grid: Image.Image, side: int, row: int, column: int) -> Image.Image:
    """One picture out of a grid whose pictures are squares of `side` pixels."""
    shown = side * enlargement(side)
    left, top = GAP + column * (shown + GAP), GAP + row * (shown + GAP + LABEL) + LABEL
    return grid.crop((left, top, left + shown, top + shown))


def grid_rows(grid: Image.Image, side: int) -> int:
    """How many rows of squares of `side` pixels a grid has."""
    return (grid.height - GAP) // (side * enlargement(side) + GAP + LABEL)


def enlargement(side: int) -> int:
    """How many times as large pictures of `side` pixels are shown."""
    return max(1, -(-SMALLEST // side))


def _enlarged(image: Image.Image, times: int) -> Image.Image:
    size = (image.width * times, image.height * times)
    return image if times == 1 else image.resize(size, Image.Resampling.NEAREST)


def _label(direction: str, name: str) -> str:
    source, target = _ARROWS.get(direction, (direction, direction))
    domain = {"real": source, "fake": target, "cycled": source, "identity": target}.get(name, "")
    return f"{name} {domain}"
