"""Joining of segments with the input's sound and other streams; nothing is encoded again."""

import heapq
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan.errors import UserError
from cyclegan.video.clip import Clip, is_cover, opened
from cyclegan.video.colours import DESCRIBED
from cyclegan.video.encoders import ENCODERS, describe
from cyclegan.video.segments import Segments, opened_segment, packets

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

# What a file says of frames as they were encoded, or lay; of those made anew it isn't true.
_OF_THE_ENCODING = ("ENCODER", "DURATION", "BPS", "NUMBER_OF_", "_STATISTICS", "ROTATE", "ALPHA_")
# Pictures that Matroska holds as attachments.
_PICTURES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


def check_holds_sound(clip: Clip, target: Path) -> None:
    """Raise UserError, before any work, if a file called `target` can't hold the clip's sound."""
    with opened(clip.path) as (container, _):
        for stream in container.streams.audio:
            if not _holds(target, stream):
                raise UserError(
                    f"{target}: can't hold the input's sound ({stream.codec_context.name}): give "
                    "the output another extension (.mkv holds most)"
                )


def kept(source: "InputContainer", clip: Clip, target: Path) -> list["Stream"]:
    """Return the streams that are copied to `target`, in the input's order; warn about the rest."""
    found = []
    for stream in source.streams:
        if stream.index == clip.index or _is_made_anew(stream, source):
            continue
        if stream.type == "video" and not is_cover(stream):
            log.warning("%s: only the first of its video streams is converted", clip.path)
        if _holds(target, stream):
            found.append(stream)
        else:
            log.warning(
                "%s: its %s are dropped, a %s file can't hold them",
                clip.path,
                _description(stream),
                target.suffix,
            )
    return found


def add_copy(made: "OutputContainer", stream: "Stream", clip: Clip) -> "Stream | None":
    """Add a stream to be filled with the packets of `stream`; return None if none are to come."""
    if is_cover(stream) and made.format.name == "matroska":
        with opened(clip.path) as (container, _):
            content = bytes(next(container.demux(container.streams[stream.index])))
        name, kind = _PICTURES[stream.codec_context.name]
        made.add_attachment(stream.metadata.get("filename", name), kind, content)
        return None
    copy = made.add_stream_from_template(stream, opaque=True)
    copy.disposition = stream.disposition
    copy.metadata.update(stream.metadata)
    return None if stream.type == "attachment" else copy


def tag_frames(made: "Stream", source: "Stream") -> None:
    """Copy the input's tags to the converted frames, as far as they are still true."""
    made.disposition = source.disposition
    for name, value in source.metadata.items():
        if not name.upper().startswith(_OF_THE_ENCODING):
            made.metadata[name] = value


def _is_made_anew(stream: "Stream", source: "InputContainer") -> bool:
    """Return whether FFmpeg writes a stream by itself, of a tag or of the chapters."""
    of_chapters = stream.type == "data" and bool(source.chapters())
    return stream.type == "data" and ("timecode" in stream.metadata or of_chapters)


def _description(stream: "Stream") -> str:
    names = {"subtitle": "subtitles", "attachment": "attachments", "video": "further pictures"}
    codec = getattr(stream.codec_context, "name", None) or stream.name
    return f"{names.get(stream.type, 'data')} ({codec})"


def _holds(target: Path, stream: "Stream") -> bool:
    """Return whether a file called `target` can hold a stream; found out by beginning one."""
    import av

    kind = ENCODERS[target.suffix.lower()].container
    if is_cover(stream) and (kind == "webm" or stream.codec_context.name not in _PICTURES):
        return False
    with av.open(io.BytesIO(), "w", format=kind) as container:
        try:
            container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
        except (av.error.FFmpegError, ValueError):
            return False
    return True


def join(segments: Segments, clip: Clip, target: Path) -> Path:
    """Join the frames of the segments with whatever else the clip holds.

    Returns the file, which lies beside the segments and is to become `target`. Raises UserError.
    """
    import av

    joined = segments.folder / f"joined{target.suffix}"
    with ExitStack() as stack:
        source, _ = stack.enter_context(opened(clip.path))
        first = stack.enter_context(opened_segment(segments.paths[0])).streams.video[0]
        movie = ENCODERS[target.suffix.lower()].container in _MOVIES
        options = {"movflags": "faststart"} if movie else {}  # players start before all is there
        made = stack.enter_context(av.open(str(joined), "w", options=options))
        made.metadata.update(source.metadata)
        made.set_chapters(source.chapters())
        copies: dict[Stream, Stream] = {}
        others = kept(source, clip, target)
        for stream in sorted([source.streams[clip.index], *others], key=lambda one: one.index):
            if stream.index == clip.index:
                pictures = _add_pictures(made, first, next(packets(segments.paths)), stream, clip)
            elif copy := add_copy(made, stream, clip):
                copies[stream] = copy
        frames = _pictures(segments, clip, pictures)
        beside = _beside(source, copies)
        begin = _begin(source)
        for packet, stream in heapq.merge(frames, beside, key=lambda pair: _time(pair[0])):
            _move(packet, begin)
            packet.stream = stream
            made.mux(packet)
    return joined


def _begin(source: "InputContainer") -> Fraction:
    """Return when a clip begins, in seconds: a broadcast's clock did not start with the clip.

    Other files count their length from 0.
    """
    broadcast = source.format.name in ("mpegts", "mpeg")
    return Fraction(source.start_time or 0, 1_000_000) if broadcast else Fraction(0)


def _move(packet: "Packet[Any]", seconds: Fraction) -> None:
    if seconds and packet.time_base:
        steps = round(seconds / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - steps
        packet.dts = None if packet.dts is None else packet.dts - steps


_MOVIES = {"mp4", "mov"}


def _add_pictures(
    made: "OutputContainer",
    encoded: "VideoStream",
    packet: "Packet[VideoStream]",
    source: "Stream",
    clip: Clip,
) -> "VideoStream":
    """Add a stream for frames like `packet`, the first of `encoded`; with the input's tags."""
    with ExitStack() as stack:
        template, context = encoded, encoded.codec_context
        if clip.mastering and context.name in DESCRIBED:
            described = stack.enter_context(clip.mastering.described(context.name))
            template = described.streams.video[0]
        stream = made.add_stream_from_template(template)
    stream.width, stream.height, stream.pix_fmt = context.width, context.height, context.pix_fmt
    if context.extradata:
        stream.codec_context.extradata = context.extradata
    stream.time_base = clip.time_base
    describe(stream, clip)
    tag_frames(stream, source)
    if packet.has_sidedata("matroska_block_additional"):
        stream.pix_fmt = "yuva420p"
    return stream


def _pictures(segments: Segments, clip: Clip, stream: "Stream") -> Iterator[tuple[Any, "Stream"]]:
    """Yield the segments' frames; the last one is shown to the clip's end, as it was."""
    last = segments.frames
    for number, packet in enumerate(packets(segments.paths), 1):
        if number == last and packet.pts is not None:
            left = clip.end * clip.time_base - packet.pts * packet.time_base
            shown = left if left > 0 else 1 / clip.rate  # some files end before their last frame
            packet.duration = round(shown / packet.time_base)
        yield packet, stream


def _beside(
    source: "InputContainer", copies: Mapping["Stream", "Stream"]
) -> Iterator[tuple[Any, "Stream"]]:
    """Yield the input's other packets, and the stream that each goes to."""
    import av

    if not copies:
        return
    try:
        for packet in source.demux(list(copies)):
            if is_cover(packet.stream):  # shown for as long as the rest is
                packet.pts = packet.dts = 0
            if packet.size:  # the last one, which ends a stream, has none
                yield packet, copies[packet.stream]
    except av.error.FFmpegError:  # a file that ends too early: said when its frames were read
        return


def _time(packet: "Packet[Any]") -> float:
    time = packet.pts if packet.dts is None else packet.dts
    assert packet.time_base is not None
    return float((time or 0) * packet.time_base)
