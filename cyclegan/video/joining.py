"""Segments and the input's sound become one file; nothing is encoded again."""

import heapq
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan.errors import UserError
from cyclegan.video.clip import Clip, opened
from cyclegan.video.encoders import ENCODERS
from cyclegan.video.segments import Segments, opened_segment, packets

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.stream import Stream

log = logging.getLogger(__name__)


def check_holds_sound(clip: Clip, target: Path) -> None:
    """Raise UserError, before any work, where a file called so can't hold the clip's sound."""
    with opened(clip.path) as (container, _):
        codecs = _codecs(target)
        for stream in container.streams.audio:
            if stream.codec_context.name not in codecs:
                raise UserError(
                    f"{target}: can't hold the input's sound ({stream.codec_context.name}): give "
                    "the output another ending (.mkv holds most)"
                )


def join(segments: Segments, clip: Clip, target: Path) -> Path:
    """Put together the frames of the segments, the clip's sound, subtitles, chapters and tags.

    Returns the file, which lies beside the segments and is to become `target`. Raises UserError.
    """
    import av

    joined = segments.folder / f"joined{target.suffix}"
    with ExitStack() as stack:
        source, _ = stack.enter_context(opened(clip.path))
        first = stack.enter_context(opened_segment(segments.paths[0]))
        movie = ENCODERS[target.suffix.lower()].container in _MOVIES
        options = {"movflags": "faststart"} if movie else {}  # players start before all is there
        made = stack.enter_context(av.open(str(joined), "w", options=options))
        pictures = made.add_stream_from_template(first.streams.video[0])
        pictures.time_base = clip.time_base
        copies = {one: made.add_stream_from_template(one) for one in _kept(source, target)}
        made.metadata.update(source.metadata)
        made.set_chapters(source.chapters())
        frames = _pictures(segments, clip, pictures)
        others = _sound(source, copies)
        for packet, stream in heapq.merge(frames, others, key=lambda pair: _time(pair[0])):
            packet.stream = stream
            made.mux(packet)
    return joined


_MOVIES = {"mp4", "mov"}


def _kept(source: "InputContainer", target: Path) -> list["Stream"]:
    codecs = _codecs(target)
    kept: list[Stream] = list(source.streams.audio)
    for stream in source.streams.subtitles:
        if stream.codec_context.name in codecs:
            kept.append(stream)
        else:
            log.warning(
                "%s: its subtitles (%s) are left out, a %s file can't hold them",
                source.name,
                stream.codec_context.name,
                target.suffix,
            )
    return kept


def _pictures(segments: Segments, clip: Clip, stream: "Stream") -> Iterator[tuple[Any, "Stream"]]:
    """The segments' frames; the last one is shown to the clip's end, as it was."""
    last = segments.frames
    for number, packet in enumerate(packets(segments.paths), 1):
        if number == last and packet.pts is not None:
            left = clip.end * clip.time_base - packet.pts * packet.time_base
            shown = left if left > 0 else 1 / clip.rate  # some files end before their last frame
            packet.duration = round(shown / packet.time_base)
        yield packet, stream


def _sound(
    source: "InputContainer", copies: Mapping["Stream", "Stream"]
) -> Iterator[tuple[Any, "Stream"]]:
    """The input's other packets, and where each goes."""
    import av

    if not copies:
        return
    try:
        for packet in source.demux(list(copies)):
            if packet.dts is not None:
                yield packet, copies[packet.stream]
    except av.error.FFmpegError:  # a file that ends too early: said when its frames were read
        return


def _time(packet: "Packet[Any]") -> float:
    assert packet.dts is not None and packet.time_base is not None
    return float(packet.dts * packet.time_base)


def _codecs(target: Path) -> set[str]:
    """Codecs that a file called so can hold."""
    import av

    kind = ENCODERS[target.suffix.lower()].container
    with av.open(io.BytesIO(), "w", format=kind) as container:
        return set(container.supported_codecs)
