"""The sizes that the generator will see, before any picture is decoded."""

from collections import Counter
from collections.abc import Sequence

from cyclegan import images
from cyclegan.conversion.files import Job, is_video
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
