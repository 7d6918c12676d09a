"""What a video file holds beside its frames: sound, subtitles, covers, attachments and tags."""

import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan.errors import UserError
from cyclegan.video.clip import Clip, is_cover, opened
from cyclegan.video.encoders import ENCODERS

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

log = logging.getLogger(__name__)

# What a file says of frames as they were encoded, or lay; of those made anew it isn't true.
_OF_THE_ENCODING = ("ENCODER", "DURATION", "BPS", "NUMBER_OF_", "_STATISTICS", "ROTATE", "ALPHA_")
# Pictures that Matroska holds as attachments.
_PICTURES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


def check_holds_sound(clip: Clip, target: Path) -> None:
    """Raise UserError, before any work, where a file called so can't hold the clip's sound."""
    with opened(clip.path) as (container, _):
        for stream in container.streams.audio:
            if not _holds(target, stream):
                raise UserError(
                    f"{target}: can't hold the input's sound ({stream.codec_context.name}): give "
                    "the output another ending (.mkv holds most)"
                )


def kept(source: "InputContainer", clip: Clip, target: Path) -> list["Stream"]:
    """Streams that are copied to a file called so, in the input's order; the rest is told."""
    found = []
    for stream in source.streams:
        if stream.index == clip.index or _is_made_anew(stream, source):
            continue
        if stream.type == "video" and not is_cover(stream):
            log.warning("%s: only the first of its videos is converted", clip.path)
        if _holds(target, stream):
            found.append(stream)
        else:
            log.warning(
                "%s: its %s are left out, a %s file can't hold them",
                clip.path,
                _description(stream),
                target.suffix,
            )
    return found


def add_copy(made: "OutputContainer", stream: "Stream", clip: Clip) -> "Stream | None":
    """Add a stream to be filled with the packets of `stream`; None where none are to come."""
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
    """Give the converted frames the tags of the input's, so far as they are still true."""
    made.disposition = source.disposition
    for name, value in source.metadata.items():
        if not name.upper().startswith(_OF_THE_ENCODING):
            made.metadata[name] = value


def _is_made_anew(stream: "Stream", source: "InputContainer") -> bool:
    """What FFmpeg writes by itself, of a tag or of the chapters."""
    of_chapters = stream.type == "data" and bool(source.chapters())
    return stream.type == "data" and ("timecode" in stream.metadata or of_chapters)


def _description(stream: "Stream") -> str:
    names = {"subtitle": "subtitles", "attachment": "attachments", "video": "further pictures"}
    codec = getattr(stream.codec_context, "name", None) or stream.name
    return f"{names.get(stream.type, 'data')} ({codec})"


def _holds(target: Path, stream: "Stream") -> bool:
    """Whether a file called so can hold a stream; found out by beginning one."""
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
