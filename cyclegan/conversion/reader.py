"""The reading stage of a conversion: sizes before anything is decoded, then pictures in order."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import ceil, prod
from pathlib import Path
from typing import cast

from cyclegan import images
from cyclegan.conversion import Reading
from cyclegan.conversion.files import Job, is_video
from cyclegan.conversion.shards import ClipPart, Shard
from cyclegan.conversion.stages import ahead, threads
from cyclegan.conversion.storage import LocalStorage
from cyclegan.device import cores
from cyclegan.errors import UserError, in_words
from cyclegan.images import Size
from cyclegan.images.document import open_document
from cyclegan.images.picture import Document, Picture
from cyclegan.tiling.tiles import padded_side
from cyclegan.video import SEGMENT_LENGTH

log = logging.getLogger(__name__)
_LOOKED_AT = 64  # headers
_PARTS = 32  # of the files whose headers are all read, at once by as many threads as there are
_NOMINAL = 1 << 20  # pixels
_FAR_LARGER = 4  # times
_SMALL = 1 << 22  # bytes of a file, and pixels in it, that may be read long before its turn


@dataclass
class SizeAdvice:
    """Advice, given once, about pictures far larger than what a generator was trained on."""

    trained_side: int | None = None
    """training side in pixels; None if there is nothing to advise"""
    tiles: bool = True
    """whether the generator can be computed in tiles"""

    def look_at(self, source: Path, size: Size) -> None:
        """Warn about the first picture that is far larger."""
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
    """Return the size after `--load_size`, which gives the shorter side."""
    if shorter is None:
        return size
    scale = shorter / min(size)
    return (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def pixels_of_two_sizes(jobs: Sequence[Job], shorter: int | None) -> int:
    """Estimate the pixels of all pictures by some headers; 0 if they have more than two sizes."""
    sizes: Counter[Size] = Counter()
    looked_at = 0
    for job in jobs[:: max(1, len(jobs) // _LOOKED_AT)]:
        try:
            size, count = _pictures(job)
            width, height = scaled(size, shorter)
        except Exception:  # of whatever kind, it is told when its turn comes  # nosec B112
            continue
        looked_at += 1
        sizes[padded_side(width), padded_side(height)] += count
    if len(sizes) > 2:
        return 0
    pixels = sum(width * height * count for (width, height), count in sizes.items())
    return pixels * len(jobs) // max(1, looked_at)


def pixels_of_each(jobs: Sequence[Job], shorter: int | None, thread: Executor) -> list[int]:
    """Return the pixels of each job by its header; a nominal number where that can't be read."""
    parts = [jobs[first::_PARTS] for first in range(_PARTS)]
    found = [0] * len(jobs)
    for first, pixels in enumerate(thread.map(partial(_pixels_of, shorter=shorter), parts)):
        found[first::_PARTS] = pixels
    return found


def shared_out(
    whole: Sequence[Job], shard: Shard, shorter: int | None, *, divide: bool
) -> list[Job]:
    """Return the jobs of a shard: those of all shards have about as many pixels.

    With `divide`, clips that are more than a shard's fair share are divided between all of them.
    """
    with threads(cores()) as thread:
        pixels = pixels_of_each(whole, shorter, thread)
    fair = sum(pixels) / shard.count
    heavy = [place for place, weight in enumerate(pixels) if divide and weight > fair]
    times = {place: found for place in heavy if (found := _times_of(whole[place]))}
    every = [Shard(number + 1, shard.count) for number in range(shard.count if times else 0)]
    loads = [
        sum(
            pixels[place] * len(_frames_of(one, told)) // len(told) for place, told in times.items()
        )
        for one in every
    ]
    rest = [place for place in range(len(whole)) if place not in times]
    own = {place: whole[place] for place in shard.share(rest, [pixels[n] for n in rest], loads)}
    for place, told in times.items():
        if frames := _frames_of(shard, told):
            own[place] = replace(whole[place], part=ClipPart(frames.start, frames.stop, told))
    return [own[place] for place in sorted(own)]


def _times_of(job: Job) -> tuple[int, ...]:
    """Return when each frame of a clip is shown; nothing if it can't be divided."""
    if not is_video(job.source):
        return ()
    from cyclegan.video.clip import frame_times  # as below

    try:
        times = tuple(frame_times(job.source))
    except Exception:  # of whatever kind, it is told when its turn comes
        return ()
    return times if len(times) > SEGMENT_LENGTH else ()


def _frames_of(shard: Shard, times: Sequence[int]) -> range:
    """Return the frames of a clip that a shard makes: whole segments."""
    segments = shard.stretch(ceil(len(times) / SEGMENT_LENGTH))
    return range(segments.start * SEGMENT_LENGTH, min(segments.stop * SEGMENT_LENGTH, len(times)))


def _pixels_of(jobs: Sequence[Job], shorter: int | None) -> list[int]:
    found = []
    for job in jobs:
        try:
            size, count = _pictures(job)
            found.append(prod(scaled(size, shorter)) * max(1, count))
        except Exception:  # of whatever kind, it is told when its turn comes
            found.append(_NOMINAL)
    return found


def _pictures(job: Job) -> tuple[Size, int]:
    """Return the size and number of a job's pictures. Raises UserError."""
    if not is_video(job.source):
        return images.size(job.source), 1
    from cyclegan.video.clip import open_clip  # what it imports is for videos only

    clip = open_clip(job.source)
    return clip.size, clip.frames


@dataclass(frozen=True)
class Read:
    """An opened file, and its job."""

    job: Job
    document: Document

    @property
    def only(self) -> Picture:
        """The picture of a file that holds one."""
        return next(iter(self.document.pictures))

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of the single picture; None if the file holds several."""
        return None if self.document.count > 1 else self.only.pixels.shape


@dataclass
class _Coming:
    """A job whose file is being read."""

    job: Job
    document: Future[Document | None]
    """None if it is to be read when its turn is near"""

    def waits(self) -> bool:
        """Return whether the file is read only when its turn is near; waits until that is known."""
        return self.document.exception() is None and self.document.result() is None


@dataclass(frozen=True)
class Reader:
    """The first stage of a conversion: files are opened, decoded and scaled, in their order."""

    settings: Reading
    values: tuple[float, float] | None
    """black and white, for files whose values have no range"""
    storage: LocalStorage
    at_once: int
    """pictures of equal size per batch"""
    most: int
    """files to prefetch in addition"""
    thread: Executor

    def groups(
        self, jobs: Iterable[Job], fail: Callable[[Job, Exception], object]
    ) -> Iterator[list[Read]]:
        """Yield files that follow one another and whose single pictures are alike.

        `fail` is called for each job that can't be read. A file of several pictures comes alone,
        and its pictures as they are asked for, the next one decoded meanwhile.
        """
        group: list[Read] = []
        for job, coming in self._read_ahead(jobs):
            try:
                read = Read(job, coming.result())
            except Exception as error:  # as decoders do
                fail(job, error)
                continue
            if group and group[0].shape != read.shape:
                yield group
                group = []
            group.append(read)
            if len(group) == self.at_once or read.document.count > 1:
                yield group
                group = []
        if group:
            yield group

    def _read_ahead(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Future[Document]]]:
        """Yield the jobs in their order, those that follow being read.

        Of small files, as many are read as keep all threads busy; of large ones, no more than are
        converted together, and the next.
        """
        coming: deque[_Coming] = deque()
        for job in jobs:
            near = len(coming) <= self.at_once
            read = partial(self._read, job, most=None if near else _SMALL)
            coming.append(_Coming(job, self.thread.submit(read)))
            if len(coming) > self.most:
                yield self._next(coming)
        while coming:
            yield self._next(coming)

    def _next(self, coming: deque[_Coming]) -> tuple[Job, Future[Document]]:
        for one in islice(coming, self.at_once + 1):
            if (one is coming[0] or one.document.done()) and one.waits():
                one.document = self.thread.submit(self._read, one.job)
        first = coming.popleft()
        return first.job, cast(Future[Document], first.document)

    def _read(self, job: Job, most: int | None = None) -> Document | None:
        """Open a file: pages and frames are read as they are asked for, a single picture is scaled.

        Returns None if the file or its picture has more than `most` bytes or pixels.
        """
        if most is not None and not _is_small(job.source, most):
            return None
        self.storage.fetch(job.source)
        document = open_document(job.source, self.values)
        if most is not None and (document.size is None or prod(document.size) > most):
            return None
        pictures = map(partial(self._scaled, job), document.pictures)
        several = document.count > 1
        return replace(document, pictures=ahead(pictures, self.thread) if several else [*pictures])

    def _scaled(self, job: Job, picture: Picture) -> Picture:
        with naming(job.source):
            return picture.scaled(scaled(picture.size, self.settings.load_size))


@contextmanager
def naming(source: Path) -> Iterator[None]:
    """Name the file in errors about a single picture: its size, its values, its codec."""
    try:
        yield
    except Exception as error:
        said = str(error) if isinstance(error, UserError) else in_words(error)
        raise UserError(f"{source}: {said}") from error


def _is_small(path: Path, most: int) -> bool:
    """Return whether a file has at most `most` bytes; a missing one is reported in its turn."""
    try:
        return path.stat().st_size <= most
    except OSError:
        return False
