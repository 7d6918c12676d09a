"""Conversion of videos, frame by frame and segment by segment."""

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from glob import escape
from hashlib import sha256
from itertools import chain, islice

from av.error import FFmpegError
from rich.progress import Progress, TaskID

from cyclegan.atomic import hidden_name
from cyclegan.conversion import Reading
from cyclegan.conversion.blend import Blend
from cyclegan.conversion.files import Job
from cyclegan.conversion.network import paint
from cyclegan.conversion.reader import SizeAdvice, scaled
from cyclegan.conversion.stages import ahead, threads
from cyclegan.conversion.translator import Translator
from cyclegan.conversion.writer import Output, OutputError
from cyclegan.errors import UserError
from cyclegan.images import Encoding
from cyclegan.images.picture import RANGES, Picture
from cyclegan.video.clip import Clip, DamagedClipError, Frame, frames, open_clip
from cyclegan.video.encoders import VideoEncoder, encoder_of
from cyclegan.video.joining import check_holds_sound, join
from cyclegan.video.segments import LENGTH, Segments, Steadied
from cyclegan.video.stabilizer import Stabilizer

log = logging.getLogger(__name__)
_KEY = 12  # digits of what a clip's segments are made of


@dataclass(frozen=True)
class ClipConverter:
    """A converter of videos with one generator, in constant memory.

    Finished segments lie in a hidden folder beside the output until all are there: after an
    interrupt of any kind, the next run goes on from the last one.
    """

    translator: Translator
    output: Output
    blend: Blend
    reading: Reading
    encoding: Encoding
    advice: SizeAdvice
    temporal: bool = False
    """whether what was made of the last frame is carried along with the motion"""
    also: Sequence[str] = ()
    """what is to be made beside; of pictures only"""

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
        encoder = encoder_of(clip, job.target)
        begun, damage = time.perf_counter(), None
        segments = self._segments(job)
        try:
            self._fill(segments, clip, encoder, job, bar, task)
        except DamagedClipError as error:
            damage = error
        self._finish(job, clip, segments, time.perf_counter() - begun)
        if damage is not None:
            raise UserError(f"{damage}; what there was is in {job.target}")

    def _opened(self, job: Job) -> Clip:
        """Return the clip at the size and with the chroma that it is converted to."""
        clip, shorter = open_clip(job.source), self.reading.load_size
        self.advice.look_at(job.source, clip.size)
        chroma = self.encoding.chroma or clip.colours.chroma
        clip = replace(clip, colours=replace(clip.colours, chroma=chroma))
        if clip.interlaced:
            log.warning("%s: interlaced, so it is deinterlaced (by FFmpeg's bwdif)", job.source)
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
            raise UserError(f"{job.source}: --also {also} is for pictures: leave it out")

    def _segments(self, job: Job) -> Segments:
        """Return the segments of the same input, model and options."""
        origin = self.output.ledger.entry(job).origin
        key = sha256(str(origin).encode()).hexdigest()[:_KEY]
        folder = job.target.with_name(hidden_name(job.target.name, f".{key}.parts"))
        folder.mkdir(exist_ok=True)
        return Segments(folder)

    def _fill(
        self,
        segments: Segments,
        clip: Clip,
        encoder: VideoEncoder,
        job: Job,
        bar: Progress,
        task: TaskID,
    ) -> None:
        """Write the segments that are missing. Raises DamagedClipError after the last."""
        dropped = segments.drop_damaged(steadied=self.temporal)
        if dropped:
            log.warning("%s: damaged segments of an earlier run are made again", job.target)
        bar.update(task, total=clip.frames or None, completed=segments.frames)
        damage: list[DamagedClipError] = []
        with threads(1) as reader:
            made = self._made(segments, clip, reader, damage)
            count = LENGTH
            while count == LENGTH:
                shown = _advancing(islice(made, LENGTH), bar, task)
                count = segments.write(shown, clip, encoder, self.encoding.crf)
        bar.update(task, total=segments.frames, completed=segments.frames)
        if damage:
            raise damage[0]

    def _made(
        self, segments: Segments, clip: Clip, reader: Executor, damage: list[DamagedClipError]
    ) -> Iterator[Steadied]:
        """Yield converted frames from where the segments end; damage found goes to `damage`."""
        steady = Stabilizer() if self.temporal else None
        memory = segments.memory() if steady else None
        coming = frames(clip, segments.last_time(clip))
        try:
            for frame in ahead(coming, reader):
                source = self._picture(frame, clip)
                painted = paint(source, self.translator, self.blend, source.depth)
                made = painted.pixels
                if steady:
                    made, memory = steady(memory, source.pixels, made)
                yield replace(frame, pixels=made, alpha=painted.alpha), memory
        except DamagedClipError as error:
            damage.append(error)

    def _picture(self, frame: Frame, clip: Clip) -> Picture:
        range = RANGES[frame.pixels.dtype.name]
        return Picture(frame.pixels, range, frame.alpha).scaled(clip.size)

    def _finish(self, job: Job, clip: Clip, segments: Segments, seconds: float) -> None:
        joined = join(segments, clip, job.target)
        job.target.unlink(missing_ok=True)
        self.output.ledger.note(self.output.ledger.entry(job, *clip.size, seconds))
        joined.replace(job.target)
        like = hidden_name(job.target.name, f".{'?' * _KEY}.parts")
        start = escape(like.removesuffix(f"{'?' * _KEY}.parts"))
        for folder in job.target.parent.glob(f"{start}{'?' * _KEY}.parts"):
            shutil.rmtree(folder)
        self.output.storage.deliver(job.target)
        self.output.storage.drop(job.source)


def _advancing(frames: Iterator[Steadied], bar: Progress, task: TaskID) -> Iterator[Steadied]:
    """Yield the frames, advancing the bar by each."""
    for frame in frames:
        yield frame
        bar.advance(task)
