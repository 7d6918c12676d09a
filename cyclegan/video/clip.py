"""A video file as upright frames with their times."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cyclegan.errors import UserError
from cyclegan.images.eight_bit import Size
from cyclegan.images.picture import Array
from cyclegan.packages import need
from cyclegan.video.colours import Colours

if TYPE_CHECKING:  # PyAV comes with an extra
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


class DamagedClipError(UserError):
    """Frames are missing; all that could be read were given before."""


@dataclass(frozen=True)
class Frame:
    """One picture of a clip."""

    pixels: Array
    """(H, W, 3), uint8, or uint16 where the clip has more bits; upright"""
    time: int
    """when it is shown, in the clip's time base"""
    duration: int
    """how long, in the clip's time base; 0 where the file doesn't say"""


@dataclass(frozen=True)
class Clip:
    """What is known of a video file before its frames are decoded."""

    path: Path
    size: Size
    """width and height, upright"""
    time_base: Fraction
    """seconds that 1 stands for in a frame's time"""
    rate: Fraction
    """frames a second, on average"""
    frames: int
    """how many there should be; an estimate where the file doesn't say, 0 where nothing is known"""
    end: int
    """time of the end, as the file says; 0 where it doesn't"""
    colours: Colours
    pixel_aspect: Fraction | None
    """width to height of a pixel, where it is not 1, upright"""


def open_clip(path: Path) -> Clip:
    """Read a video's header and first frame. Raises UserError where there are none."""
    with opened(path) as (container, stream):
        first = next(_decoded(container, stream, path), None)
        if first is None:
            raise UserError(f"{path}: none of its frames can be decoded")
        base = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        begin, seconds = stream.start_time or 0, Fraction(container.duration or 0, 1_000_000)
        length = stream.duration or int(seconds / base)
        aspect = stream.sample_aspect_ratio
        turned = first.rotation % 180 != 0
        if aspect and turned:
            aspect = 1 / aspect
        return Clip(
            path,
            (first.height, first.width) if turned else (first.width, first.height),
            base,
            rate,
            stream.frames or round(length * base * rate),
            begin + length if length else 0,
            Colours.of(first),
            None if aspect in (None, 0, 1) else aspect,
        )


def frames(clip: Clip, after: int | None = None) -> Iterator[Frame]:
    """Give a clip's frames in order, those later than the time `after` only, decoded as needed.

    Raises DamagedClipError after the last where some can't be read, or the file ends too early.
    """
    broken: list[str] = []
    seen: int | None = None
    step = max(1, round(1 / (clip.rate * clip.time_base)))
    for frame in _from(clip, after, broken):
        time = frame.pts
        if time is None:
            time = 0 if seen is None else seen + step
        elif seen is not None and time <= seen:  # a file whose times run backwards
            time = seen + 1
        seen = time
        if after is None or time > after:
            yield Frame(_upright(frame, clip), time, frame.duration or 0)
    seen = seen or after or 0
    if broken:
        raise DamagedClipError(f"{clip.path}: parts of it can't be decoded ({broken[0]})")
    if clip.end and (clip.end - seen) * clip.time_base > 0.5 + 3 / clip.rate:
        raise DamagedClipError(
            f"{clip.path}: ends after {float(seen * clip.time_base):.1f} of "
            f"{float(clip.end * clip.time_base):.1f} seconds: the rest of the file is missing"
        )


@contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """The file and its first video stream. Raises UserError."""
    need(str(path), "video", "av")
    import av

    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read as a video ({_reason(error)})") from None
    with container:
        pictures = [one for one in container.streams.video if not _is_cover(one)]
        if not pictures:
            raise UserError(f"{path}: holds no video")
        pictures[0].thread_type = "AUTO"
        yield container, pictures[0]


def _is_cover(stream: "VideoStream") -> bool:
    """A picture of an album, which is stored as a video of one frame."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _from(clip: Clip, after: int | None, broken: list[str]) -> Iterator["VideoFrame"]:
    """Frames from one at or before the time `after`; from the first where the file can't seek."""
    if after is not None:
        import av

        with opened(clip.path) as (container, stream):
            try:
                container.seek(after, stream=stream)
            except av.error.FFmpegError:
                found = None
            else:
                decoded = _decoded(container, stream, clip.path, broken)
                found = next(decoded, None)
            if found is not None and found.pts is not None and found.pts <= after:
                yield found
                yield from decoded
                return
    broken.clear()
    with opened(clip.path) as (container, stream):
        yield from _decoded(container, stream, clip.path, broken)


def _decoded(
    container: "InputContainer",
    stream: "VideoStream",
    path: Path,
    broken: list[str] | None = None,
) -> Iterator["VideoFrame"]:
    """Every frame that can be decoded; why others could not goes to `broken`."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            if broken is not None:
                broken.append(_reason(error))
            return
        try:
            yield from packet.decode()
        except av.error.FFmpegError as error:
            if broken is not None:
                broken.append(_reason(error))


def _upright(frame: "VideoFrame", clip: Clip) -> Array:
    """Pixels of a frame that may be stored lying."""
    pixels = clip.colours.pixels(frame)
    turns = round(frame.rotation / 90) % 4
    upright: Array = np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
    return upright


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
