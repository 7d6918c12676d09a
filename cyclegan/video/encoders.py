"""Encoders of each kind of video file."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from cyclegan.video.clip import Clip, Frame

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoEncoder:
    """A codec, and its options for good pictures."""

    codec: str
    crf: int | None
    """default constant quality: lower is better and larger; none if lossless"""
    container: str
    """FFmpeg's name of the container"""
    options: Mapping[str, str] = field(default_factory=dict)
    shallow: bool = False
    """whether it keeps 8 bits only"""
    alpha: tuple[str, str] | None = None
    """FFmpeg's pixel formats with alpha, for 8 bits and more; None if dropped"""

    def pixels(self, clip: Clip) -> str:
        """Return FFmpeg's name of the pixel format that is encoded."""
        if self.alpha:
            return self.alpha[clip.colours.deep]
        deep = clip.colours.deep and not self.shallow
        return replace(clip.colours, deep=deep).format(*clip.size)


# No frame refers to a later one: segments can then be joined packet by packet.
_H264 = VideoEncoder("libx264", 16, "mp4", {"preset": "medium", "bf": "0"})
_VP9 = VideoEncoder(
    "libvpx-vp9",
    22,
    "webm",
    {"b": "0", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"},
    shallow=True,  # as PyAV builds it
)

#: The one table of what can be written, by the ending in lower case.
ENCODERS: Mapping[str, VideoEncoder] = {
    ".mp4": _H264,
    ".m4v": _H264,
    ".mov": replace(_H264, container="mov"),
    ".mkv": replace(_H264, container="matroska"),
    ".webm": _VP9,
}


#: What keeps alpha, by the ending. VP9 keeps 8 bits of it.
_VP9_ALPHA = replace(_VP9, alpha=("yuva420p", "yuva420p"))
_PNG = VideoEncoder("png", None, "mov", alpha=("rgba", "rgba64be"))
_FFV1 = VideoEncoder("ffv1", None, "matroska", alpha=("yuva444p", "yuva444p10le"))
WITH_ALPHA: Mapping[str, tuple[VideoEncoder, VideoEncoder]] = {
    ".mov": (_PNG, _PNG),
    ".mkv": (replace(_VP9_ALPHA, container="matroska"), _FFV1),
    ".webm": (_VP9_ALPHA, _VP9_ALPHA),
}


def encoder_of(clip: Clip, target: Path) -> VideoEncoder:
    """Return the encoder of `clip` for the file `target`; warn about what can't be kept."""
    ending = target.suffix.lower()
    chosen = ENCODERS[ending]
    if clip.colours.alpha and ending in WITH_ALPHA:
        chosen = WITH_ALPHA[ending][clip.colours.deep]
    elif clip.colours.alpha:
        log.warning(
            "%s: its alpha channel is dropped, a %s file can't hold it (.mov, .mkv and .webm can)",
            clip.path,
            ending,
        )
    if clip.colours.deep and chosen.shallow:
        log.warning("%s: its colours are reduced to 8 bits, %s has no more", clip.path, ending)
    return chosen


def add_stream(
    container: "OutputContainer", clip: Clip, encoder: VideoEncoder, crf: int | None
) -> "VideoStream":
    """Add a stream for the frames of `clip`, of the same size, times and colours."""
    options = dict(encoder.options)
    if encoder.crf is not None:
        options["crf"] = str(encoder.crf if crf is None else crf)
    if encoder.codec == _H264.codec and clip.mastering:
        options["x264-params"] = clip.mastering.of_x264
    made = container.add_stream(encoder.codec, rate=clip.rate, options=options)
    stream = cast("VideoStream", made)  # as the codec is one of videos
    stream.width, stream.height = clip.size
    stream.pix_fmt = encoder.pixels(clip)
    stream.time_base = stream.codec_context.time_base = clip.time_base
    describe(stream, clip)
    return stream


def describe(stream: "VideoStream", clip: Clip) -> None:
    """Describe the clip's frames in a stream's header."""
    context = stream.codec_context
    context.framerate, context.field_order = clip.rate, _PROGRESSIVE
    if not context.format or not context.format.is_rgb:
        context.colorspace, context.color_range = clip.colours.space, clip.colours.range
    context.color_primaries, context.color_trc = clip.colours.primaries, clip.colours.transfer
    if clip.pixel_aspect is not None:
        context.sample_aspect_ratio = clip.pixel_aspect


_PROGRESSIVE = 1


def packer(clip: Clip, encoder: VideoEncoder) -> Callable[[Frame], "VideoFrame"]:
    """Return a function that makes frames as the encoder takes them, in the clip's own colours."""
    pack = clip.colours.packer(*clip.size, encoder.pixels(clip))

    def packed(frame: Frame) -> "VideoFrame":
        height, width = frame.pixels.shape[:2]
        pixels = np.broadcast_to(frame.pixels, (height, width, 3))
        if encoder.alpha and frame.alpha is not None:
            pixels = np.dstack([pixels, frame.alpha])
        made = pack(pixels)
        made.pts, made.duration, made.time_base = frame.time, frame.duration, clip.time_base
        return made

    return packed
