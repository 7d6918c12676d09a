"""Colours of video frames, converted to RGB and back with little loss, and mastering metadata."""

import io
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

from cyclegan.images.picture import Array

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.sidedata.sidedata import SideData

# Lanczos, chroma of every pixel, rounding instead of cutting off: FFmpeg's default loses one level
# of light and three of colour on the way there and back.
_CAREFUL = 0x200 | 0x2000 | 0x4000 | 0x40000
# Matrices as files name them (ISO/IEC 23091-2), and as FFmpeg's scaler does.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_NAMES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
# FFmpeg's names for colours as they are converted: by whether they are deep, and have alpha.
_PACKED = {
    (False, False): "rgb24",
    (True, False): "rgb48le",
    (False, True): "rgba",
    (True, True): "rgba64le",
}
_ANY = Fraction(1, 1000)  # times are set on what comes out
_UNKNOWN, _FULL = 2, 2  # a space and a range
_BT709, _LIMITED = 1, 1  # what RGB becomes, which has a space of 0: players take it for granted


@dataclass(frozen=True)
class Colours:
    """The meaning of a clip's numbers, by the codes of ISO/IEC 23091-2 that files carry."""

    space: int
    primaries: int
    transfer: int
    range: int
    deep: bool
    """more than 8 bits"""
    chroma: str
    """chroma subsampling: 444, 422 or 420"""
    alpha: bool
    """whether there is an alpha plane"""

    @classmethod
    def of(cls, frame: "VideoFrame") -> "Colours":
        """Return the colours of a frame; every frame of a clip has the same."""
        kind = frame.format
        across, down = (
            (kind.chroma_width(64), kind.chroma_height(64))
            if len(kind.components) > 1
            else (32, 32)
        )
        chroma = {(64, 64): "444", (32, 64): "422"}.get((across, down), "420")
        return cls(
            _BT709 if kind.is_rgb else frame.colorspace or _UNKNOWN,
            frame.color_primaries,
            frame.color_trc,
            _LIMITED if kind.is_rgb else frame.color_range,
            kind.components[0].bits > 8,
            chroma,
            any(component.is_alpha for component in kind.components),
        )

    def format(self, width: int, height: int) -> str:
        """Return FFmpeg's name of the pixel format; odd sides do not allow coarser chroma."""
        chroma = self.chroma
        if width % 2 or (height % 2 and chroma == "420"):
            chroma = "444"
        return f"yuv{chroma}p{'10le' if self.deep else ''}"

    def pixels(self, frame: "VideoFrame") -> Array:
        """Return (H, W, 3), or 4 channels with alpha; uint8, or uint16 if there are more bits."""
        packed = frame.reformat(
            format=_PACKED[self.deep, self.alpha],
            src_colorspace=None if frame.format.is_rgb else _MATRICES.get(self.space),
            src_color_range=None if frame.format.is_rgb else self.range or None,
            interpolation=_CAREFUL,
        )
        found: Array = packed.to_ndarray()
        return found

    def packer(self, width: int, height: int, made: str) -> Callable[[Array], "VideoFrame"]:
        """Return a function that makes frames of the format `made`.

        It takes (height, width, 3) of the clip's depth, or 4 channels with alpha.
        """
        from av import VideoFormat, VideoFrame
        from av.filter import Graph

        target = VideoFormat(made)
        alpha = any(component.is_alpha for component in target.components)
        kind = _PACKED[self.deep, alpha]
        graph = Graph()
        steps = [
            graph.add_buffer(width=width, height=height, format=VideoFormat(kind), time_base=_ANY),
            graph.add("scale", self._scaling()),
            graph.add("format", f"pix_fmts={made}"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*steps).configure()

        def pack(pixels: Array) -> "VideoFrame":
            graph.push(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind))
            packed = cast("VideoFrame", graph.pull())
            if not target.is_rgb:
                packed.colorspace, packed.color_range = self.space, self.range
            return packed

        return pack

    def _scaling(self) -> str:
        """Return the options of FFmpeg's scaler; chroma lies where players look for it."""
        how = "flags=lanczos+full_chroma_int+full_chroma_inp+accurate_rnd:out_chroma_loc=left"
        how += f":out_range={'pc' if self.range == _FULL else 'tv'}"
        name = _NAMES.get(self.space)
        return f"{how}:out_color_matrix={name}" if name else how


_RED, _GREEN, _BLUE, _WHITE = range(4)
_CHROMA, _LUMINANCE = 50_000, 10_000  # steps of 1 in SMPTE ST 2086


@dataclass(frozen=True)
class Mastering:
    """Colours and light of the mastering display (SMPTE ST 2086), and the content's light."""

    points: tuple[tuple[Fraction, Fraction], ...] = ()
    """(x, y) of red, green, blue and white; none where the file doesn't say"""
    luminance: tuple[Fraction, Fraction] | None = None
    """minimum and maximum, in candela per square metre"""
    content: tuple[int, int] | None = None
    """MaxCLL and MaxFALL (CTA-861.3), in candela per square metre"""

    @classmethod
    def of(cls, frame: "VideoFrame") -> "Mastering | None":
        """Return the mastering data of a frame or its file; None if neither has any."""
        sides = cast("Iterable[SideData]", frame.side_data)
        found = {one.type.name: bytes(one) for one in sides}
        points: tuple[tuple[Fraction, Fraction], ...] = ()
        luminance = content = None
        if "MASTERING_DISPLAY_METADATA" in found:  # AVMasteringDisplayMetadata of FFmpeg
            *numbers, has_points, has_luminance = struct.unpack(
                "=22i", found["MASTERING_DISPLAY_METADATA"][:88]
            )
            ratios = [Fraction(a, b or 1) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
            if has_points:
                points = tuple(zip(ratios[:8:2], ratios[1:8:2], strict=True))
            if has_luminance:
                luminance = ratios[8], ratios[9]
        if "CONTENT_LIGHT_LEVEL" in found:
            content = struct.unpack("=2I", found["CONTENT_LIGHT_LEVEL"][:8])
        made = cls(points, luminance, content)
        return None if made == cls() else made

    @property
    def of_x264(self) -> str:
        """Options of x264, which writes this data among the frames."""
        told = []
        if self.points and self.luminance:
            names = (("G", _GREEN), ("B", _BLUE), ("R", _RED), ("WP", _WHITE))
            display = "".join(
                f"{name}({','.join(str(round(value * _CHROMA)) for value in self.points[n])})"
                for name, n in names
            )
            least, most = (round(value * _LUMINANCE) for value in self.luminance)
            told.append(f"mastering-display={display}L({most},{least})")
        if self.content:
            told.append("cll={},{}".format(*self.content))
        return ":".join(told)

    def described(self, codec: str) -> "InputContainer":
        """Return a file without frames, whose description a stream of `codec` takes over.

        PyAV has no other way to give a stream one. The identifiers are those of Matroska (RFC 9559,
        section 5.1.4.1.28).
        """
        import av

        light = b""
        if self.points:
            values = [value for point in self.points for value in point]
            light += b"".join(_real(0x55D1 + n, value) for n, value in enumerate(values))
        if self.luminance:
            light += _real(0x55D9, self.luminance[1]) + _real(0x55DA, self.luminance[0])
        colour = _element(0x55D0, light) if light else b""
        for number, value in zip((0x55BC, 0x55BD), self.content or (), strict=False):
            colour += _whole(number, value)
        picture = _whole(0xB0, 16) + _whole(0xBA, 16) + _element(0x55B0, colour)
        track = _whole(0xD7, 1) + _whole(0x73C5, 1) + _whole(0x83, 1)
        track += _element(0x86, DESCRIBED[codec]) + _element(0xE0, picture)
        info = _element(0x1549A966, _whole(0x2AD7B1, 1_000_000))
        tracks = _element(0x1654AE6B, _element(0xAE, track))
        head = _element(0x1A45DFA3, _element(0x4282, b"matroska"))
        frames = _element(0x1F43B675, _whole(0xE7, 0))
        file = io.BytesIO(head + _element(0x18538067, info + tracks + frames))
        return av.open(file, "r")


#: Codecs whose streams can be described, and Matroska's names for them.
DESCRIBED = {"h264": b"V_MPEG4/ISO/AVC", "vp9": b"V_VP9", "ffv1": b"V_FFV1"}


def _element(number: int, content: bytes) -> bytes:
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def _whole(number: int, value: int) -> bytes:
    return _element(number, value.to_bytes(4, "big"))


def _real(number: int, value: Fraction) -> bytes:
    return _element(number, struct.pack(">d", float(value)))
