"""A frame's numbers become colours and back, with as little lost as the file's format allows."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

from cyclegan.images.picture import Array

if TYPE_CHECKING:  # PyAV comes with an extra
    from av import VideoFrame

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
    """What the numbers of a clip mean, by the codes of ISO/IEC 23091-2 that files carry."""

    space: int
    primaries: int
    transfer: int
    range: int
    deep: bool
    """more than 8 bits"""
    chroma: str
    """444, 422 or 420: how finely colour is kept beside light"""
    alpha: bool
    """whether there is any beside them"""

    @classmethod
    def of(cls, frame: "VideoFrame") -> "Colours":
        """Those of a frame; every frame of a clip has them."""
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
        """FFmpeg's name for them; colour can't be coarser than sides that are odd."""
        chroma = self.chroma
        if width % 2 or (height % 2 and chroma == "420"):
            chroma = "444"
        return f"yuv{chroma}p{'10le' if self.deep else ''}"

    def pixels(self, frame: "VideoFrame") -> Array:
        """(H, W, 3), or 4 with alpha; uint8, or uint16 where there are more bits."""
        packed = frame.reformat(
            format=_PACKED[self.deep, self.alpha],
            src_colorspace=None if frame.format.is_rgb else _MATRICES.get(self.space),
            src_color_range=None if frame.format.is_rgb else self.range or None,
            interpolation=_CAREFUL,
        )
        found: Array = packed.to_ndarray()
        return found

    def packer(self, width: int, height: int, made: str) -> Callable[[Array], "VideoFrame"]:
        """Takes (height, width, 3) of the clip's depth, or 4 with alpha; gives frames `made` so."""
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
        """How FFmpeg's scaler is to make the numbers; chroma lies where players look for it."""
        how = "flags=lanczos+full_chroma_int+full_chroma_inp+accurate_rnd:out_chroma_loc=left"
        how += f":out_range={'pc' if self.range == _FULL else 'tv'}"
        name = _NAMES.get(self.space)
        return f"{how}:out_color_matrix={name}" if name else how
