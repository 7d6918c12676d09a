"""Conversion of videos, frame by frame and segment by segment."""

import logging
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, islice

from av.error import FFmpegError
from rich.progress import Progress, TaskID

from cyclegan.conversion import Reading
from cyclegan.conversion.blend import Blend
from cyclegan.conversion.files import Job, parts_folder, parts_of
from cyclegan.conversion.network import paint
from cyclegan.conversion.reader import SizeAdvice, scaled
from cyclegan.conversion.shards import ClipPart
from cyclegan.conversion.stages import ahead, threads
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.writer import Output, OutputError
from cyclegan.errors import UserError
from cyclegan.images import Encoding
from cyclegan.images.picture import RANGES, Picture
from cyclegan.video import SEGMENT_LENGTH
from cyclegan.video.clip import Clip, DamagedClipError, Frame, frame_times, frames, open_clip
from cyclegan.video.encoders import VideoEncoder, encoder_of
from cyclegan.video.joining import check_holds_sound, join
from cyclegan.video.segments import Segments, Steadied
from cyclegan.video.stabilizer import LastFrame, Stabilizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    """A clip that is being converted."""

    job: Job
    clip: Clip
    encoder: VideoEncoder
    segments: Segments
    """of all of it"""
    bar: Progress
    task: TaskID
    begun: float

    def advancing(self, frames: Iterator[Steadied]) -> Iterator[Steadied]:
        """Yield the frames, advancing the bar by each."""
        for frame in frames:
            yield frame
            self.bar.advance(self.task)


@dataclass(frozen=True)
class ClipConverter:
    """A converter of videos with one generator, in constant memory.

    Finished segments lie in a hidden folder beside the output until all are there: after an
    interrupt of any kind, the next run goes on from the last one. Shards that share a clip put
    theirs into the same folder, and the one that ends last joins all.
    """

    translator: Translator
    output: Output
    blend: Blend
    reading: Reading
    encoding: Encoding
    advice: SizeAdvice
    temporal: bool = False
    """whether the last converted frame is warped along the motion"""
    also: Sequence[str] = ()
    """additional outputs; for pictures only"""

    def __call__(self, todo: Sequence[Job], bar: Progress) -> list[str]:
        """Convert videos; return a line for each that failed, or is not whole."""
        failed: list[str] = []
        many = len(todo) > 1
        clips = bar.add_task("converting", total=len(todo), visible=many, unit="videos")
        for job in chain.from_iterable(self.output.claims.shared(todo)):
            task = bar.add_task(job.name.name, total=None, unit="frames")
            try:
                if not job.target.parent.exists():
                    job.target.parent.mkdir(parents=True, exist_ok=True)
                self._convert(job, bar, task)
            except OutputError:
                for line in failed:
                    log.warning("%s", line)
                raise
            except (OSError, FFmpegError) as error:
                failed.append(self.output.ledger.fail_to_write(job, error))
            except Exception as error:  # of one clip only, as a picture's
                failed.append(self.output.ledger.fail(job, error))
            finally:
                self.output.claims.release(job)
                bar.advance(clips)
                bar.update(task, visible=not many)
        return failed

    def _convert(self, job: Job, bar: Progress, task: TaskID) -> None:
        self._check(job)
        self.output.storage.fetch(job.source)
        clip = self._opened(job)
        check_holds_sound(clip, job.target)
        encoder, begun = encoder_of(clip, job.target), time.perf_counter()
        work = _Work(job, clip, encoder, self._segments(job), bar, task, begun)
        part = job.part or self._left_by_shards(work)
        if part is None:
            self._make_whole(work)
        else:
            self._make_part(work, part)

    def _left_by_shards(self, work: _Work) -> ClipPart | None:
        """Return all of a clip as a part, if shards left segments of it that can be used."""
        if self.temporal or not work.segments.scattered:
            return None
        times = frame_times(work.clip.path)
        return ClipPart(0, len(times), times) if times else None

    def _make_whole(self, work: _Work) -> None:
        damage: list[DamagedClipError] = []
        self._fill(work, damage)
        self._finish(work)
        if damage:
            raise UserError(f"{damage[0]}; what could be decoded is in {work.job.target}")

    def _make_part(self, work: _Work, part: ClipPart) -> None:
        """Make a part, and the whole file if no other part is missing then.

        A clip whose frames are not those that its packets tell is made whole, after all others who
        are at parts of it.
        """
        damage: list[DamagedClipError] = []
        try:
            self._fill_part(work, part)
        except DamagedClipError as error:
            log.warning("%s", f"{error}: converting the whole video here instead of a part")
            damage.append(error)
        with self.output.claims.whole(work.job, wait=bool(damage)) as held:
            if held and not work.segments.folder.exists():
                return  # made by others meanwhile
            if held and damage:
                self._make_whole(work)
            elif held and replace(work.segments, end=len(part.times)).is_complete:
                self._finish(work)
            else:
                self.output.claims.begun.append(work.job)

    def _opened(self, job: Job) -> Clip:
        """Return the clip at the size and with the chroma that it is converted to."""
        clip, shorter = open_clip(job.source), self.reading.load_size
        self.advice.look_at(job.source, clip.size)
        chroma = self.encoding.chroma or clip.colours.chroma
        clip = replace(clip, colours=replace(clip.colours, chroma=chroma))
        if clip.interlaced:
            log.warning("%s: interlaced, deinterlacing it (with FFmpeg's bwdif)", job.source)
        if shorter is None:
            return clip
        width, height = scaled(clip.size, shorter)
        return replace(clip, size=(width + width % 2, height + height % 2))

    def _check(self, job: Job) -> None:
        architecture = self.translator.generator.architecture
        for channels in (architecture.input_nc, architecture.output_nc):
            if channels not in (1, 3):
                raise UserError(
                    f"{job.source}: a video has 3 channels, this generator is for {channels}: "
                    "convert .npy or TIFF with it"
                )
        if self.also:
            also = ",".join(self.also)
            raise UserError(
                f"{job.source}: --also {also} works on images, not on videos: leave it out"
            )

    def _segments(self, job: Job) -> Segments:
        """Return the segments of the same input, model and options."""
        origin = self.output.ledger.entry(job).origin
        key = sha256(str(origin).encode()).hexdigest()
        folder = parts_folder(job.target, key)
        folder.mkdir(exist_ok=True)
        return Segments(folder)

    def _fill(self, work: _Work, damage: list[DamagedClipError]) -> None:
        """Write the segments that are missing up to the clip's end; damage goes to `damage`."""
        segments = work.segments
        for path in segments.scattered:
            path.unlink()
        self._tell_damaged(work, segments.drop_damaged(steadied=self.temporal))
        work.bar.update(work.task, total=work.clip.frames or None, completed=segments.frames)
        memory = segments.memory() if self.temporal else None
        coming = frames(work.clip, segments.last_time(work.clip))
        self._write(segments, work, _while_sound(coming, damage), memory)
        work.bar.update(work.task, total=segments.frames, completed=segments.frames)

    def _fill_part(self, work: _Work, part: ClipPart) -> None:
        """Write the segments that are missing in a part. Raises DamagedClipError."""
        segments = replace(work.segments, first=part.first, end=part.end)
        self._tell_damaged(work, segments.drop_damaged())
        gaps, total = segments.gaps, part.end - part.first
        missing = sum((gap.end or 0) - gap.first for gap in gaps)
        work.bar.update(work.task, total=total, completed=total - missing)
        for gap in gaps:
            before = part.times[gap.first - 1] if gap.first else None
            times = part.times[gap.first : gap.end]
            self._write(gap, work, _told(frames(work.clip, before), times, work.clip))

    def _tell_damaged(self, work: _Work, count: int) -> None:
        if count:
            log.warning("%s: redoing damaged segments of an earlier run", work.job.target)

    def _write(
        self,
        segments: Segments,
        work: _Work,
        coming: Iterator[Frame],
        memory: LastFrame | None = None,
    ) -> None:
        """Convert frames and write them to segments; the next one is decoded meanwhile."""
        with threads(1) as reader:
            made = work.advancing(self._made(ahead(coming, reader), work.clip, memory))
            count = SEGMENT_LENGTH
            while count == SEGMENT_LENGTH:
                segment = islice(made, SEGMENT_LENGTH)
                count = segments.write(segment, work.clip, work.encoder, self.encoding.crf)

    def _made(
        self, coming: Iterator[Frame], clip: Clip, memory: LastFrame | None
    ) -> Iterator[Steadied]:
        """Yield converted frames; `memory` is what the stabilizer remembers before them."""
        steady = Stabilizer() if self.temporal else None
        for frame in coming:
            source = self._picture(frame, clip)
            painted = paint(source, self.translator, self.blend, source.depth)
            made = painted.pixels
            if steady:
                made, memory = steady(memory, source.pixels, made)
            yield replace(frame, pixels=made, alpha=painted.alpha), memory

    def _picture(self, frame: Frame, clip: Clip) -> Picture:
        range = RANGES[frame.pixels.dtype.name]
        return Picture(frame.pixels, range, frame.alpha).scaled(clip.size)

    def _finish(self, work: _Work) -> None:
        job, seconds = work.job, time.perf_counter() - work.begun
        joined = join(work.segments, work.clip, job.target)
        job.target.unlink(missing_ok=True)
        self.output.ledger.note(self.output.ledger.entry(job, *work.clip.size, seconds))
        joined.replace(job.target)
        for folder in parts_of(job.target):
            shutil.rmtree(folder)
        self.output.storage.deliver(job.target)
        self.output.storage.drop(job.source)


def _while_sound(coming: Iterator[Frame], damage: list[DamagedClipError]) -> Iterator[Frame]:
    """Yield the frames that can be read; what is wrong with the others goes to `damage`."""
    try:
        yield from coming
    except DamagedClipError as error:
        damage.append(error)


def _told(
    coming: Generator[Frame, None, None], times: Sequence[int], clip: Clip
) -> Iterator[Frame]:
    """Yield the frames of these times, and end the rest. Raises DamagedClipError if others come."""
    with closing(coming):  # an error would hold on to the decoder and its threads
        for shown in times:
            frame = next(coming, None)
            if frame is None or frame.time != shown:
                raise DamagedClipError(
                    f"{clip.path}: its frames don't match the timestamps of its packets"
                )
            yield frame
