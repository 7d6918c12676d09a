"""Segments and the input's sound become one file; nothing is encoded again."""

import heapq
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan.video.clip import Clip, is_cover, opened
from cyclegan.video.encoders import ENCODERS, describe
from cyclegan.video.mastering import DESCRIBED
from cyclegan.video.segments import Segments, opened_segment, packets
from cyclegan.video.tracks import add_copy, kept, tag_frames

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream


def join(segments: Segments, clip: Clip, target: Path) -> Path:
    """Put together the frames of the segments and whatever else the clip holds.

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
    """When a clip begins, in seconds, by a broadcast's clock, which did not start with it.

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
    """A stream for frames like `packet`, the first of `encoded`; with the input's tags."""
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
    """The segments' frames; the last one is shown to the clip's end, as it was."""
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
    """The input's other packets, and where each goes."""
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
