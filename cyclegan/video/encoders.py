"""How each kind of video file is encoded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from cyclegan.video.clip import Clip, Frame

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Encoder:
    """A codec, and how it is asked for good pictures."""

    codec: str
    crf: int
    """constant quality, unless asked otherwise: smaller is better and larger"""
    container: str
    """FFmpeg's name of the kind of file"""
    options: Mapping[str, str] = field(default_factory=dict)


# No frame refers to a later one: segments can then be joined packet by packet.
_H264 = Encoder("libx264", 16, "mp4", {"preset": "medium", "bf": "0"})
_VP9 = Encoder(
    "libvpx-vp9", 22, "webm", {"b": "0", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}
)

#: The one table of what can be written, by the ending in lower case.
ENCODERS: Mapping[str, Encoder] = {
    ".mp4": _H264,
    ".m4v": _H264,
    ".mov": replace(_H264, container="mov"),
    ".mkv": replace(_H264, container="matroska"),
    ".webm": _VP9,
}


def add_stream(
    container: "OutputContainer", clip: Clip, encoder: Encoder, crf: int | None
) -> "VideoStream":
    """A stream for the frames of `clip`, of the same size, times and colours."""
    quality = {"crf": str(encoder.crf if crf is None else crf)}
    made = container.add_stream(
        encoder.codec, rate=clip.rate, options=dict(encoder.options) | quality
    )
    stream = cast("VideoStream", made)  # as the codec is one of videos
    width, height = clip.size
    stream.width, stream.height = width, height
    stream.pix_fmt = clip.colours.format(width, height)
    context = stream.codec_context
    stream.time_base = context.time_base = clip.time_base
    context.colorspace, context.color_range = clip.colours.space, clip.colours.range
    context.color_primaries, context.color_trc = clip.colours.primaries, clip.colours.transfer
    if clip.pixel_aspect is not None:
        context.sample_aspect_ratio = clip.pixel_aspect
    return stream


def packer(clip: Clip) -> Callable[[Frame], "VideoFrame"]:
    """Makes frames as the encoder takes them, in the clip's own colours."""
    pack = clip.colours.packer(*clip.size)

    def packed(frame: Frame) -> "VideoFrame":
        made = pack(frame.pixels)
        made.pts, made.duration, made.time_base = frame.time, frame.duration, clip.time_base
        return made

    return packed
