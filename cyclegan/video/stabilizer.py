"""Stabilizer against flicker: the last output is carried along with the motion and mixed in.

The motion is that of the input, by dense inverse search (Kroeger et al. 2016), which OpenCV has. It
is trusted where going there and back ends at the same place, as in Ruder et al. 2016, section 4.2,
and where the input's colours stay what they were, as in Lai et al. 2018, section 3.1. Means over
time of the normalisation's statistics were tried instead: they changed the warping error by less
than 0.2 %, as flicker is of places and not of whole pictures.
"""

import io
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from cyclegan.images.picture import RANGES, Array

_Floats = npt.NDArray[np.float32]

_SHARE = 0.45  # of the last frame, where the motion is trusted; more blurs
_TOLERANCE = 20.0  # levels of 255 by which a colour changes within one thing: light, grain
_TRUSTED = 0.3  # of all places; less is another scene
_SHARPER = 1.5  # at most so many times: what averaging takes from fine detail is given back
_DETAIL = 1.5  # pixels: standard deviation of the blur that parts fine detail from the rest


@dataclass(frozen=True)
class LastFrame:
    """The last frame, as it came and as it was made."""

    before: Array
    """the input, (H, W, 3)"""
    gray: Array
    """gray, (H, W) uint8"""
    after: _Floats
    """the output, (H, W, C), in levels of its type"""

    @classmethod
    def of(cls, before: Array, after: Array) -> "LastFrame":
        """Return the last frame, given as it came and as it was made."""
        return cls(before, _gray(before), after.astype(np.float32))

    def to_bytes(self) -> bytes:
        """Return the frame as bytes, bit for bit."""
        content = io.BytesIO()
        np.savez(content, before=self.before, after=self.after)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "LastFrame":
        """Load a frame from the result of `to_bytes`."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls.of(arrays["before"], arrays["after"])


@dataclass(frozen=True)
class Stabilizer:
    """A stabilizer that holds no frame itself, so that a clip may go on from anywhere."""

    flow: cv2.DISOpticalFlow = field(
        default_factory=lambda: cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    )

    def __call__(
        self, last: LastFrame | None, before: Array, after: Array
    ) -> tuple[Array, LastFrame]:
        """Steady a frame, given as it came and as it was made, both (H, W, C).

        Returns the steadier frame, and what to remember. Without a last frame, or after a cut, the
        frame stays as it was made.
        """
        now = LastFrame.of(before, after)
        made = now.after
        if last is None:
            return after, now
        places, trust = self._motion(last, now)
        if trust.mean() < _TRUSTED:
            return after, now
        carried = _warp(last.after, places, cv2.INTER_CUBIC).reshape(made.shape)
        share = _SHARE * trust[:, :, None]
        mixed = share * carried + (1 - share) * made
        shown = _as_sharp(mixed, made).round().clip(0, RANGES[after.dtype.name].high)
        return shown.astype(after.dtype), LastFrame(before, now.gray, mixed)

    def _motion(self, last: LastFrame, now: LastFrame) -> tuple[_Floats, _Floats]:
        """Return where each place was in the last frame, (H, W, 2), and the trust in it, (H, W)."""
        there = _floats(self.flow.calc(now.gray, last.gray, None))  # type: ignore[call-overload]
        back = _floats(self.flow.calc(last.gray, now.gray, None))  # type: ignore[call-overload]
        height, width = now.gray.shape
        places = there + np.dstack(np.meshgrid(*map(np.arange, (width, height)))).astype(np.float32)
        astray = ((there + _warp(back, places)) ** 2).sum(2)
        length = (there**2).sum(2) + (back**2).sum(2)
        inside = (places >= 0).all(2) & (places <= (width - 1, height - 1)).all(2)
        levels = 255 / RANGES[now.before.dtype.name].high
        changed = _warp(last.before.astype(np.float32), places) - now.before
        difference = _blurred(np.abs(changed).mean(2) * levels)
        alike = np.exp(-((difference / _TOLERANCE) ** 2))
        return places, _floats(alike * (inside & (astray < 0.01 * length + 0.5)))


def _as_sharp(mixed: _Floats, made: _Floats) -> _Floats:
    """Return `mixed` with as much fine detail as `made` has, as far as that can be given back."""
    coarse = _blurred(mixed).reshape(mixed.shape)
    fine = mixed - coarse
    wanted = (made - _blurred(made).reshape(made.shape)).std()
    gain = float(np.clip(wanted / max(float(fine.std()), 1e-6), 1, _SHARPER))
    return coarse + fine * gain


def _warp(pixels: Array, places: _Floats, how: int = cv2.INTER_LINEAR) -> _Floats:
    x, y = cv2.split(places)
    return _floats(cv2.remap(pixels, x, y, how, borderMode=cv2.BORDER_REFLECT))


def _blurred(pixels: Array) -> _Floats:
    return _floats(cv2.GaussianBlur(pixels, (0, 0), _DETAIL))


def _gray(pixels: Array) -> Array:
    """Convert (H, W, 3) of 8 or 16 bits to (H, W) of 8, which the search for motion takes."""
    gray = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))
    return (
        gray if gray.dtype == np.uint8 else ((gray.astype(np.uint32) + 128) // 257).astype(np.uint8)
    )


def _floats(pixels: object) -> _Floats:
    return np.asarray(pixels, np.float32)
