"""The sizes that the generator will see, before any picture is decoded."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclegan import images
from cyclegan.conversion.files import Job, is_video
from cyclegan.images import Size
from cyclegan.tiling.reflected import padded_side

log = logging.getLogger(__name__)
_LOOKED_AT = 64  # headers
_FAR_LARGER = 4  # times


@dataclass
class SizeAdvice:
    """Tells once what to do about pictures far larger than what a generator was trained on."""

    trained_side: int | None = None
    """pixels that pictures were scaled to; None where there is nothing to advise"""
    tiles: bool = True
    """whether the generator can be computed in tiles"""

    def look_at(self, source: Path, size: Size) -> None:
        """Tell of the first such picture."""
        side = self.trained_side
        if side is None or min(size) < _FAR_LARGER * side:
            return
        self.trained_side = None
        tiles = ", or --tile dense" if self.tiles else ""
        log.warning(
            "%s: %dx%d, far larger than the %d px that the model was trained on; if its strokes "
            "come out too small: --load_size %d%s",
            *(source, *size, side, 2 * side, tiles),
        )


def scaled(size: Size, shorter: int | None) -> Size:
    """The size after `--load_size`, which gives the shorter side."""
    if shorter is None:
        return size
    scale = shorter / min(size)
    return (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def pixels_of_two_sizes(jobs: Sequence[Job], shorter: int | None) -> int:
    """Pixels of all pictures, from the headers of some; 0 where they have more than two sizes."""
    sizes: Counter[Size] = Counter()
    looked_at = 0
    for job in jobs[:: max(1, len(jobs) // _LOOKED_AT)]:
        try:
            size, count = _pictures(job)
            width, height = scaled(size, shorter)
        except Exception:  # of whatever kind, it is told when its turn comes
            continue
        looked_at += 1
        sizes[padded_side(width), padded_side(height)] += count
    if len(sizes) > 2:
        return 0
    pixels = sum(width * height * count for (width, height), count in sizes.items())
    return pixels * len(jobs) // max(1, looked_at)


def _pictures(job: Job) -> tuple[Size, int]:
    """Size and number of a job's pictures. Raises UserError."""
    if not is_video(job.source):
        return images.size(job.source), 1
    from cyclegan.video.clip import open_clip  # what it imports is for videos only

    clip = open_clip(job.source)
    return clip.size, clip.frames
