"""One picture of what a step made: a row for each direction, labelled."""

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

from cyclegan import images
from cyclegan.translation import Translation

GAP, LABEL = 4, 16  # pixels between pictures and above each for its name
_ARROWS = {"a_to_b": ("A", "B"), "b_to_a": ("B", "A")}


def picture_grid(translations: Mapping[str, Translation]) -> Image.Image:
    """The first image of the batch in each direction: real, fake, cycled, identity."""
    rows = [
        [(_label(direction, name), images.to_image(batch[0])) for name, batch in made.items()]
        for direction, made in ((key, value.pictures()) for key, value in translations.items())
    ]
    cell_width = max(image.width for row in rows for _, image in row) + GAP
    cell_height = max(image.height for row in rows for _, image in row) + GAP + LABEL
    columns = max(len(row) for row in rows)
    grid = Image.new("RGB", (cell_width * columns + GAP, cell_height * len(rows) + GAP), "white")
    draw, font = ImageDraw.Draw(grid), ImageFont.load_default(11)
    for y, row in enumerate(rows):
        for x, (label, image) in enumerate(row):
            left, top = GAP + x * cell_width, GAP + y * cell_height
            draw.text((left, top), label, fill="black", font=font)
            grid.paste(image, (left, top + LABEL))
    return grid


def _label(direction: str, name: str) -> str:
    source, target = _ARROWS.get(direction, (direction, direction))
    domain = {"real": source, "fake": target, "cycled": source, "identity": target}.get(name, "")
    return f"{name} {domain}"
