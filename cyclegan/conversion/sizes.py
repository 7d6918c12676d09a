"""The sizes that the generator will see, before any picture is decoded."""

from collections.abc import Sequence

from cyclegan import images
from cyclegan.conversion.files import Job
from cyclegan.images import Size
from cyclegan.tiling.reflected import padded_side

_LOOKED_AT = 64  # headers


def scaled(size: Size, shorter: int | None) -> Size:
    """The size after `--load_size`, which gives the shorter side."""
    if shorter is None:
        return size
    scale = shorter / min(size)
    return (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def pixels_of_two_sizes(jobs: Sequence[Job], shorter: int | None) -> int:
    """Pixels of all pictures, from the headers of some; 0 where they have more than two sizes."""
    sizes: list[Size] = []
    for job in jobs[:: max(1, len(jobs) // _LOOKED_AT)]:
        try:
            width, height = scaled(images.size(job.source), shorter)
        except images.UnreadableImageError:
            continue
        sizes.append((padded_side(width), padded_side(height)))
    if not sizes or len(set(sizes)) > 2:
        return 0
    return sum(width * height for width, height in sizes) * len(jobs) // len(sizes)
