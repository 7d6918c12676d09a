"""What a clip of high dynamic range says of the display that it was made on (HDR10)."""

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.sidedata.sidedata import SideData

_RED, _GREEN, _BLUE, _WHITE = range(4)
_CHROMA, _LUMINANCE = 50_000, 10_000  # steps of 1 in SMPTE ST 2086


@dataclass(frozen=True)
class Mastering:
    """Colours and light of the mastering display (SMPTE ST 2086), and the content's light."""

    points: tuple[tuple[Fraction, Fraction], ...] = ()
    """(x, y) of red, green, blue and white; none where the file doesn't say"""
    luminance: tuple[Fraction, Fraction] | None = None
    """the least and the most, in candela per square metre"""
    content: tuple[int, int] | None = None
    """MaxCLL and MaxFALL (CTA-861.3), in candela per square metre"""

    @classmethod
    def of(cls, frame: "VideoFrame") -> "Mastering | None":
        """What a frame or its file says; nothing where neither does."""
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
        """As x264 takes it, to write it among the frames."""
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
        """A file without frames, of which a stream of `codec` takes the description over.

        PyAV has no other way to give a stream one. The identifiers are those of Matroska
        (RFC 9559, section 5.1.4.1.28).
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
