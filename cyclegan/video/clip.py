"""A video file as upright frames with their times."""

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from cyclegan.errors import UserError, require_extra
from cyclegan.images.picture import Array, Size
from cyclegan.video.colours import Colours, Mastering

if TYPE_CHECKING:  # PyAV comes with an extra
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.filter import Graph
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream


class DamagedClipError(UserError):
    """A clip that lacks frames; all that could be read were given before."""


@dataclass(frozen=True)
class Frame:
    """One frame of a clip."""

    pixels: Array
    """(H, W, 3), uint8, or uint16 where the clip has more bits; upright"""
    alpha: Array | None
    """(H, W), of the pixels' type: how opaque they are, where the clip says"""
    time: int
    """when it is shown, in the clip's time base"""
    duration: int
    """how long, in the clip's time base; 0 where the file doesn't say"""


@dataclass(frozen=True)
class Clip:
    """The properties of a video file, known before its frames are decoded."""

    path: Path
    index: int
    """of the stream, among the file's"""
    size: Size
    """width and height, upright"""
    time_base: Fraction
    """seconds per unit of a frame's time"""
    rate: Fraction
    """frames a second, on average"""
    frames: int
    """expected number; an estimate if the file doesn't say, 0 if unknown"""
    end: int
    """time of the end, as the file says; 0 where it doesn't"""
    colours: Colours
    pixel_aspect: Fraction | None
    """width to height of a pixel, upright, where the file says"""
    interlaced: bool
    """stored in two fields; its frames are deinterlaced"""
    mastering: Mastering | None
    """metadata of the mastering display"""


def open_clip(path: Path) -> Clip:
    """Read a video's header and first frame. Raises UserError if there is none."""
    with opened(path) as (container, stream):
        first = next(_decoded(container, stream, path), None)
        if first is None:
            raise UserError(f"{path}: none of its frames can be decoded")
        base = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        begin, length = stream.start_time or 0, _length(container, stream, base)
        aspect = stream.sample_aspect_ratio or None
        turned = first.rotation % 180 != 0
        if aspect and turned:
            aspect = 1 / aspect
        return Clip(
            path,
            stream.index,
            (first.height, first.width) if turned else (first.width, first.height),
            base,
            rate,
            stream.frames or round(length * base * rate),
            begin + length if length else 0,
            Colours.of(first),
            aspect,
            first.interlaced_frame or stream.codec_context.field_order in _IN_FIELDS,
            Mastering.of(first),
        )


_IN_FIELDS = range(2, 6)  # which field comes first, and which is shown first


def _length(container: "InputContainer", stream: "VideoStream", base: Fraction) -> int:
    """Return how long the frames are shown, in `base`; 0 if the file doesn't say."""
    if stream.duration:
        return stream.duration
    told = stream.metadata.get("DURATION", "")  # Matroska: the time of the end
    if match := re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", told):
        hours, minutes, seconds = (Fraction(part) for part in match.groups())
        end = (hours * 60 + minutes) * 60 + seconds
        return max(0, round(end / base) - (stream.start_time or 0))
    until = Fraction((container.start_time or 0) + (container.duration or 0), 1_000_000)
    return max(0, int(until / base) - (stream.start_time or 0))


def frames(clip: Clip, after: int | None = None) -> Generator[Frame, None, None]:
    """Yield a clip's frames in order, those later than the time `after` only, decoded as needed.

    Raises DamagedClipError after the last one if some can't be read, or the file ends too early.
    """
    broken: list[str] = []
    seen: int | None = None
    step = max(1, round(1 / (clip.rate * clip.time_base)))
    for frame in _progressive(_from(clip, after, step, broken), clip):
        time = frame.pts
        if time is None:
            time = 0 if seen is None else seen + step
        elif seen is not None and time <= seen:  # a file whose times run backwards
            time = seen + 1
        seen = time
        if after is None or time > after:
            yield Frame(*_upright(frame, clip), time, frame.duration or 0)
    seen = seen or after or 0
    if broken:
        raise DamagedClipError(f"{clip.path}: parts of it can't be decoded ({broken[0]})")
    if _lacks_its_end(clip, seen):
        raise DamagedClipError(
            f"{clip.path}: ends after {float(seen * clip.time_base):.1f} of "
            f"{float(clip.end * clip.time_base):.1f} seconds: the rest of the file is missing"
        )


def frame_times(path: Path) -> list[int]:
    """Return when each frame of a clip is shown, in its time base, without decoding them.

    The list is empty where packets don't tell, or some are missing, and where fields are made into
    frames. Raises UserError.
    """
    import av

    clip = open_clip(path)
    times: list[int] = []
    with opened(path) as (container, stream):
        try:
            for packet in container.demux(stream):
                if packet.size and (packet.pts is None or packet.is_corrupt):
                    return []
                if packet.size and packet.pts is not None and not packet.is_discard:
                    times.append(packet.pts)
        except av.error.FFmpegError:
            return []
    times.sort()
    if clip.interlaced or len(set(times)) < len(times) or not times:
        return []
    return [] if _lacks_its_end(clip, times[-1]) else times


def _lacks_its_end(clip: Clip, last: int) -> bool:
    """Return whether a clip should go on for long after the time of its last frame."""
    return bool(clip.end) and (clip.end - last) * clip.time_base > 0.5 + 3 / clip.rate


@contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """Open a file and its first video stream. Raises UserError."""
    require_extra(str(path), "video", "av")
    import av

    try:
        container = av.open(f"file:{path}")  # no name is a protocol's
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read as a video ({_reason(error)})") from None
    with container:
        pictures = [one for one in container.streams.video if not is_cover(one)]
        if not pictures:
            raise UserError(f"{path}: has no video stream")
        if pictures[0].codec_context is None:
            raise UserError(f"{path}: no decoder is known for its video stream")
        pictures[0].thread_type = "AUTO"
        yield container, pictures[0]


def is_cover(stream: "Stream") -> bool:
    """Return whether a stream is the picture of an album, stored as a video of one frame."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _from(clip: Clip, after: int | None, step: int, broken: list[str]) -> Iterator["VideoFrame"]:
    """Yield frames from one at or before the time `after`; from the first if seeking fails."""
    if after is not None:
        import av

        if clip.interlaced:  # a frame is made of its neighbours too
            after -= 3 * step
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


def _progressive(coming: Iterator["VideoFrame"], clip: Clip) -> Iterator["VideoFrame"]:
    """Yield the frames with both fields of one time; progressive ones stay as they are."""
    if not clip.interlaced:
        yield from coming
        return
    graph: Graph | None = None
    for frame in coming:
        graph = graph or _deinterlacer(frame, clip)
        graph.push(frame)
        yield from _pulled(graph, clip)
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph, clip)


def _deinterlacer(frame: "VideoFrame", clip: Clip) -> "Graph":
    """Build FFmpeg's deinterlacer for frames like `frame`; one goes in and one comes out."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=clip.time_base
    )
    filter = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, filter, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: "Graph", clip: Clip) -> Iterator["VideoFrame"]:
    """Yield the frames that are ready, at their times in the clip's time base."""
    from av.error import BlockingIOError, EOFError

    while True:
        try:
            frame = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        if frame.pts is not None and frame.time_base is not None:
            frame.pts = round(frame.pts * frame.time_base / clip.time_base)
            frame.duration = round(frame.duration * frame.time_base / clip.time_base)
        yield frame


def _decoded(
    container: "InputContainer",
    stream: "VideoStream",
    path: Path,
    broken: list[str] | None = None,
) -> Iterator["VideoFrame"]:
    """Yield every frame that can be decoded; why others could not goes to `broken`."""
    import av

    packets, decode = container.demux(stream), _decoder(stream)
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
            yield from decode(packet)
        except av.error.FFmpegError as error:
            if broken is not None:
                broken.append(_reason(error))


def _decoder(stream: "VideoStream") -> Callable[["Packet[VideoStream]"], list["VideoFrame"]]:
    """Return a function that decodes a packet; FFmpeg's own ones skip VP8's and VP9's alpha."""
    from av.codec import CodecContext

    name = _KNOWING_ALPHA.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return lambda packet: packet.decode()
    context = cast("VideoCodecContext", CodecContext.create(name, "r"))
    return lambda packet: context.decode(packet if packet.size else None)


_KNOWING_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def _upright(frame: "VideoFrame", clip: Clip) -> tuple[Array, Array | None]:
    """Return the pixels of a frame that may be stored lying, and their opacity."""
    pixels = clip.colours.pixels(frame)
    turns = round(frame.rotation / 90) % 4
    pixels = np.rot90(pixels, turns) if turns else pixels
    colours, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    return np.ascontiguousarray(colours), np.ascontiguousarray(
        alpha[:, :, 0]
    ) if alpha.size else None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
